//! Makes the gRPC call its plugin is named after for each connection, and puts
//! what came of it in place of what the client says.

use std::time::Duration;

use proxy_wasm::traits::{Context, StreamContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_stream_context(|_, _| Box::new(Asker::default()));
}}

#[derive(Default)]
struct Asker {
    /// Gives up at the first message.
    cancels: bool,
    /// Sends its second message when the first one came.
    waits: bool,
    events: Vec<String>,
    done: bool,
}

impl Asker {
    fn end(&mut self, how: String) {
        self.events.push(how);
        self.done = true;
        self.resume_downstream();
    }
}

fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

impl Context for Asker {
    fn on_grpc_call_response(&mut self, _token: u32, status: u32, size: usize) {
        let (_, message) = self.get_grpc_status();
        let body = match status {
            0 => text(self.get_grpc_call_response_body(0, size)),
            _ => message.unwrap_or_default(),
        };
        self.end(format!("{status} {body}"));
    }

    fn on_grpc_stream_initial_metadata(&mut self, _token: u32, _count: u32) {
        let greeting = self.get_grpc_stream_initial_metadata_value("x-greeting");
        self.events.push(format!("initial {}", text(greeting)));
    }

    fn on_grpc_stream_message(&mut self, token: u32, size: usize) {
        let message = text(self.get_grpc_stream_message(0, size));
        self.events.push(format!("message {message}"));
        if self.cancels {
            self.cancel_grpc_stream(token);
            self.end("cancelled".to_owned());
        }
        if self.waits {
            self.send_grpc_stream_message(token, Some(b"two"), true);
        }
    }

    fn on_grpc_stream_trailing_metadata(&mut self, _token: u32, _count: u32) {
        let mood = self.get_grpc_stream_trailing_metadata_value("x-mood");
        self.events.push(format!("trailing {}", text(mood)));
    }

    fn on_grpc_stream_close(&mut self, _token: u32, status: u32) {
        let (_, message) = self.get_grpc_status();
        self.end(format!("closed {status} {}", message.unwrap_or_default()));
    }
}

impl StreamContext for Asker {
    fn on_new_connection(&mut self) -> Action {
        let name = text(self.get_property(vec!["plugin_name"]));
        let metadata = vec![("x-who", &b"guest"[..])];
        let (cluster, limit) = match &*name {
            "Refused" => ("nobody", Duration::from_secs(5)),
            "Sleep" => ("greeter", Duration::from_millis(50)),
            _ => ("greeter", Duration::from_secs(5)),
        };
        self.cancels = name == "Forever";
        self.waits = name == "Reset";
        let opened = match &*name {
            "Chat" | "Forever" | "Reset" => {
                let opened = self.open_grpc_stream(cluster, "hello.Greeter", &name, metadata);
                if let Ok(token) = opened {
                    self.send_grpc_stream_message(token, Some(b"one"), false);
                    if !self.waits {
                        self.send_grpc_stream_message(token, Some(b"two"), true);
                    }
                }
                opened
            }
            _ => {
                let message = Some(&b"hi"[..]);
                self.dispatch_grpc_call(cluster, "hello.Greeter", &name, metadata, message, limit)
            }
        };
        if let Err(status) = opened {
            self.end(format!("not opened: {status:?}"));
        }
        Action::Pause
    }

    fn on_downstream_data(&mut self, size: usize, _end: bool) -> Action {
        if !self.done {
            return Action::Pause;
        }
        if size > 0 {
            let events = format!("{}\n", self.events.join("\n"));
            self.set_downstream_data(0, size, events.as_bytes());
        }
        Action::Continue
    }
}

//! gRPC: `/call` asks once, `/stream` opens a stream, sends two messages and
//! closes; the request goes on when the answer is there.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Greeter { answers: Vec::new() }));
}}

struct Greeter {
    answers: Vec<String>,
}

impl Greeter {
    fn go_on(&mut self) {
        self.set_http_request_header("x-answers", Some(&self.answers.join(" ")));
        self.resume_http_request();
    }
}

impl Context for Greeter {
    fn on_grpc_call_response(&mut self, _token: u32, status: u32, size: usize) {
        log::info!("call: status {status}, {size} bytes");
        let body = self
            .get_grpc_call_response_body(0, size)
            .unwrap_or_default();
        self.answers.push(match status {
            0 => String::from_utf8_lossy(&body).into_owned(),
            _ => format!("failed-{status}"),
        });
        self.go_on();
    }

    fn on_grpc_stream_initial_metadata(&mut self, _token: u32, count: u32) {
        log::info!("stream: {count} initial metadata");
    }

    fn on_grpc_stream_message(&mut self, token: u32, size: usize) {
        let body = self.get_grpc_stream_message(0, size).unwrap_or_default();
        self.answers
            .push(String::from_utf8_lossy(&body).into_owned());
        if self.answers.len() == 2 {
            self.close_grpc_stream(token);
        }
    }

    fn on_grpc_stream_close(&mut self, _token: u32, status: u32) {
        log::info!("stream: closed with {status}");
        self.go_on();
    }
}

impl HttpContext for Greeter {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let path = self.get_http_request_header(":path").unwrap_or_default();
        if path == "/call" {
            let metadata = vec![("x-who", &b"guest"[..])];
            let limit = Duration::from_secs(1);
            let call = self.dispatch_grpc_call(
                "greeter",
                "hello.Greeter",
                "Say",
                metadata,
                Some(b"hi"),
                limit,
            );
            return match call {
                Ok(_) => Action::Pause,
                Err(status) => {
                    log::error!("{status:?}");
                    Action::Continue
                }
            };
        }
        match self.open_grpc_stream("greeter", "hello.Greeter", "Chat", vec![]) {
            Ok(token) => {
                self.send_grpc_stream_message(token, Some(b"one"), false);
                self.send_grpc_stream_message(token, Some(b"two"), false);
                Action::Pause
            }
            Err(status) => {
                log::error!("{status:?}");
                Action::Continue
            }
        }
    }
}

//! Holds each connection until an HTTP call to cluster `gate` is answered: 200
//! lets it in, all else closes it.

use std::time::Duration;

use proxy_wasm::traits::{Context, StreamContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_stream_context(|_, _| Box::new(Gate { open: false }));
}}

struct Gate {
    open: bool,
}

impl Context for Gate {
    fn on_http_call_response(&mut self, _: u32, _: usize, _: usize, _: usize) {
        let status = self.get_http_call_response_header(":status");
        self.open = status.as_deref() == Some("200");
        if self.open {
            self.resume_downstream();
        } else {
            log::warn!("kept out: {}", status.as_deref().unwrap_or("no answer"));
            self.close_downstream();
        }
    }
}

impl StreamContext for Gate {
    fn on_new_connection(&mut self) -> Action {
        let source = self
            .get_property(vec!["source", "address"])
            .unwrap_or_default();
        let path = format!("/may/{}", String::from_utf8_lossy(&source));
        let headers = vec![
            (":method", "GET"),
            (":path", &*path),
            (":authority", "gate"),
        ];
        match self.dispatch_http_call("gate", headers, None, vec![], Duration::from_secs(2)) {
            Ok(_) => Action::Pause,
            Err(status) => {
                log::error!("no call: {status:?}");
                self.close_downstream();
                Action::Pause
            }
        }
    }

    fn on_downstream_data(&mut self, _size: usize, _end: bool) -> Action {
        if self.open {
            Action::Continue
        } else {
            Action::Pause
        }
    }
}

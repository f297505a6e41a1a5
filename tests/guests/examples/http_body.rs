//! Bodies: gathers a request's body and replaces it by its upper case; marks
//! each piece of the response's.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Body { pieces: 0 }));
}}

struct Body {
    pieces: usize,
}

impl Context for Body {}

impl HttpContext for Body {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        // Its length is about to change.
        self.set_http_request_header("content-length", None);
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        log::info!("request body {size} end {end}");
        if !end {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        let mut body = String::from_utf8_lossy(&body).to_uppercase();
        body.push('.');
        self.set_http_request_body(0, size, body.as_bytes());
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        self.set_http_response_header("content-length", None);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        log::info!("response body {size} end {end}");
        self.pieces += 1;
        if size > 0 {
            self.set_http_response_body(0, 0, format!("[{}]", self.pieces).as_bytes());
        }
        Action::Continue
    }
}

//! Answers by itself: `/teapot` at once, `/late` in place of the response, `/reset`
//! not at all.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Local { path: String::new() }));
}}

struct Local {
    path: String,
}

impl Context for Local {}

impl HttpContext for Local {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        self.path = self.get_http_request_header(":path").unwrap_or_default();
        match self.path.as_str() {
            "/teapot" => {
                self.send_http_response(418, vec![("x-pot", "tea")], Some(b"short and stout"));
                Action::Pause
            }
            "/reset" => {
                self.reset_http_request();
                Action::Pause
            }
            _ => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        log::info!("response headers of {}", self.path);
        if self.path == "/late" {
            self.send_http_response(502, vec![], Some(b"changed my mind"));
            return Action::Pause;
        }
        Action::Continue
    }
}

//! Properties: the request's header `x-read` names one (segments with dots), the
//! response's header `x-value` says what it is; `x-write` sets one first.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Properties { value: String::new() }));
}}

struct Properties {
    value: String,
}

impl Context for Properties {}

impl HttpContext for Properties {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        if let Some(value) = self.get_http_request_header("x-write") {
            self.set_property(vec!["own"], Some(value.as_bytes()));
        }
        let path = self.get_http_request_header("x-read").unwrap_or_default();
        self.value = match self.get_property(path.split('.').collect()) {
            Some(bytes) => bytes.escape_ascii().to_string(),
            None => "nothing".to_owned(),
        };
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        self.set_http_response_header("x-value", Some(&self.value));
        Action::Continue
    }
}

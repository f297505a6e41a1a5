//! Trailers: adds one both ways, and holds a request's body until they come.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Trailers));
}}

struct Trailers;

impl Context for Trailers {}

impl HttpContext for Trailers {
    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        log::info!("request body {size} end {end}");
        Action::Pause
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        let sum = self.get_http_request_trailer("sum").unwrap_or_default();
        log::info!("request trailers {count} sum {sum}");
        self.add_http_request_trailer("x-seen", "yes");
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        log::info!("response trailers {count}");
        self.set_http_response_trailer("x-seen", Some("yes"));
        Action::Continue
    }
}

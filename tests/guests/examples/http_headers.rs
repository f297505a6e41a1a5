//! Header maps: reads, adds, replaces and removes headers both ways.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Headers));
}}

struct Headers;

impl Context for Headers {
    fn on_done(&mut self) -> bool {
        log::info!("done");
        true
    }
}

impl HttpContext for Headers {
    fn on_http_request_headers(&mut self, count: usize, end: bool) -> Action {
        log::info!("request headers {count} end {end}");
        for (name, value) in self.get_http_request_headers() {
            log::debug!("{name}: {value}");
        }
        if self.get_http_request_header("x-missing").is_some() {
            log::error!("a missing header is there");
        }
        self.add_http_request_header("x-many", "two");
        self.set_http_request_header("x-replace", Some("new"));
        self.set_http_request_header("x-remove", None);
        self.set_http_request_header(":path", Some("/rewritten"));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, count: usize, end: bool) -> Action {
        log::info!("response headers {count} end {end}");
        let mut headers = self.get_http_response_headers();
        headers.retain(|(name, _)| name != "server");
        headers.push(("x-filter".to_owned(), "seen".to_owned()));
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        self.set_http_response_headers(pairs.collect());
        Action::Continue
    }

    fn on_log(&mut self) {
        let path = self.get_http_request_header(":path").unwrap_or_default();
        let status = self.get_http_response_header(":status").unwrap_or_default();
        log::info!("log {path} {status}");
    }
}

//! Shared data: numbers requests across all workers by compare-and-swap.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel, Status};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Numbered));
}}

struct Numbered;

impl Context for Numbered {}

impl HttpContext for Numbered {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        for _ in 0..3 {
            let (value, cas) = self.get_shared_data("count");
            let last: u64 = value
                .and_then(|value| String::from_utf8(value).ok()?.parse().ok())
                .unwrap_or_default();
            let next = (last + 1).to_string();
            match self.set_shared_data("count", Some(next.as_bytes()), cas) {
                Ok(()) => {
                    self.set_http_request_header("x-number", Some(&next));
                    return Action::Continue;
                }
                Err(Status::CasMismatch) => log::debug!("lost, once more"),
                Err(status) => log::error!("{status:?}"),
            }
        }
        self.send_http_response(503, vec![], Some(b"no number"));
        Action::Pause
    }
}

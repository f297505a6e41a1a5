//! Foreign functions: compresses and uncompresses the request's path, and asks
//! for one that nobody has.

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Foreign));
}}

struct Foreign;

impl Context for Foreign {}

impl HttpContext for Foreign {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let path = self.get_http_request_header(":path").unwrap_or_default();
        let small = hostcalls::call_foreign_function("compress", Some(path.as_bytes()));
        let small = small.ok().flatten().unwrap_or_default();
        let again = hostcalls::call_foreign_function("uncompress", Some(&small));
        let again = again.ok().flatten().unwrap_or_default();
        let same = again == path.as_bytes();
        log::info!(
            "{} bytes became {}, and the same again: {same}",
            path.len(),
            small.len()
        );
        let nobody = hostcalls::call_foreign_function("nobody_has_this", None);
        log::info!("{nobody:?}");
        Action::Continue
    }
}

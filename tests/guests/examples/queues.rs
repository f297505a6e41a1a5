//! Queues: each request's path goes into queue `paths`; the root logs what comes out.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Reader));
}}

struct Reader;

impl Context for Reader {}

impl RootContext for Reader {
    fn on_vm_start(&mut self, _size: usize) -> bool {
        self.register_shared_queue("paths");
        true
    }

    fn on_queue_ready(&mut self, queue: u32) {
        match self.dequeue_shared_queue(queue) {
            Ok(Some(item)) => log::info!("item {}", String::from_utf8_lossy(&item)),
            Ok(None) => log::info!("empty"),
            Err(status) => log::error!("{status:?}"),
        }
    }

    fn create_http_context(&self, _context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Writer))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Writer;

impl Context for Writer {}

impl HttpContext for Writer {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let path = self.get_http_request_header(":path").unwrap_or_default();
        match self.resolve_shared_queue("", "paths") {
            Some(queue) => {
                if let Err(status) = self.enqueue_shared_queue(queue, Some(path.as_bytes())) {
                    log::error!("{status:?}");
                }
            }
            None => log::error!("no queue"),
        }
        Action::Continue
    }
}

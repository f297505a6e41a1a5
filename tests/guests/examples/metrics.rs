//! Metrics: counts requests, keeps a gauge of those under way, and measures bodies.

use std::cell::Cell;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root { ids: Cell::default() }));
}}

#[derive(Clone, Copy, Default)]
struct Ids {
    requests: u32,
    active: u32,
    bytes: u32,
}

struct Root {
    ids: Cell<Ids>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _size: usize) -> bool {
        let define = |kind, name| hostcalls::define_metric(kind, name).unwrap_or_default();
        self.ids.set(Ids {
            requests: define(MetricType::Counter, "guest.requests"),
            active: define(MetricType::Gauge, "guest.active"),
            bytes: define(MetricType::Histogram, "guest.bytes"),
        });
        true
    }

    fn create_http_context(&self, _context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Measured {
            ids: self.ids.get(),
            bytes: 0,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Measured {
    ids: Ids,
    bytes: u64,
}

impl Context for Measured {}

impl HttpContext for Measured {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let one = hostcalls::increment_metric(self.ids.requests, 1);
        let two = hostcalls::increment_metric(self.ids.active, 1);
        let nothing = hostcalls::increment_metric(self.ids.requests, 0);
        log::info!("{one:?} {two:?} {nothing:?}");
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, _end: bool) -> Action {
        self.bytes += size as u64;
        Action::Continue
    }

    fn on_log(&mut self) {
        let _ = hostcalls::increment_metric(self.ids.active, -1);
        let _ = hostcalls::record_metric(self.ids.bytes, self.bytes);
        let requests = hostcalls::get_metric(self.ids.requests);
        log::info!("requests {:?}", requests.ok());
    }
}

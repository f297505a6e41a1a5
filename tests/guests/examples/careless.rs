//! Everything a filter should not do, one sin for each path: `/panic`, `/status`
//! (a hostcall at the wrong moment), `/resume` (what Envoy cannot do), `/metric`,
//! `/loop`, `/leak`, `/forget` (a call without a timeout), `/hold` (pauses and
//! never goes on). Its root never says that it is done.

use std::cell::RefCell;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {
    fn on_done(&mut self) -> bool {
        false
    }
}

impl RootContext for Root {
    fn create_http_context(&self, _context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Careless))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

thread_local! {
    static LEAKED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

struct Careless;

impl Context for Careless {}

impl HttpContext for Careless {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let path = self.get_http_request_header(":path").unwrap_or_default();
        match path.as_str() {
            "/panic" => panic!("on request"),
            "/status" => {
                self.get_http_response_header("too-early");
            }
            "/resume" => {
                // Only the L4 filter's; the SDK has no name for it here.
                hostcalls::resume_upstream().expect("cannot be");
            }
            "/metric" => {
                hostcalls::increment_metric(4_000_000_000, 1).expect("no such metric");
            }
            "/loop" => loop {
                std::hint::black_box(());
            },
            "/leak" => LEAKED.with_borrow_mut(|leaked| leaked.push(vec![0; 1000])),
            "/forget" => {
                let headers = vec![(":method", "GET"), (":path", "/"), (":authority", "x")];
                let call = self.dispatch_http_call("void", headers, None, vec![], Duration::ZERO);
                call.expect("cluster void is there");
            }
            "/hold" => return Action::Pause,
            _ => {}
        }
        Action::Continue
    }
}

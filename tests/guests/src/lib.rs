//! The smallest filter: says hello. The others are in `examples/`.

use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Hello));
}}

struct Hello;

impl Context for Hello {}

impl RootContext for Hello {
    fn on_vm_start(&mut self, _size: usize) -> bool {
        log::info!("hello");
        true
    }
}

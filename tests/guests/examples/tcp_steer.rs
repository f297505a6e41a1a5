//! Steers each connection to the cluster that its configuration names, with the
//! foreign function that Envoy has for it, and logs what became of it.

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root { cluster: String::new() }));
}}

struct Root {
    cluster: String,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        self.cluster = String::from_utf8(text).unwrap_or_default();
        !self.cluster.is_empty()
    }

    fn create_stream_context(&self, _context: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Steer {
            cluster: self.cluster.clone(),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }
}

struct Steer {
    cluster: String,
}

impl Context for Steer {}

impl StreamContext for Steer {
    fn on_new_connection(&mut self) -> Action {
        let key = "envoy.tcp_proxy.cluster";
        let mut message = vec![0x0a, key.len() as u8];
        message.extend(key.as_bytes());
        message.extend([0x12, self.cluster.len() as u8]);
        message.extend(self.cluster.as_bytes());
        let set = hostcalls::call_foreign_function("set_envoy_filter_state", Some(&message));
        log::info!("steered: {:?}", set.is_ok());
        Action::Continue
    }

    fn on_downstream_data(&mut self, _size: usize, _end: bool) -> Action {
        let attempts = self.get_property(vec!["upstream", "request_attempt_count"]);
        log::info!("attempts {}", number(attempts));
        Action::Continue
    }

    fn on_log(&mut self) {
        let flags = self.get_property(vec!["response", "flags"]);
        let why = self.get_property(vec!["upstream", "transport_failure_reason"]);
        let why = why.map(|why| String::from_utf8_lossy(&why).into_owned());
        log::info!(
            "flags {} because {}",
            number(flags),
            why.as_deref().unwrap_or("-")
        );
    }
}

fn number(bytes: Option<Vec<u8>>) -> String {
    let word = bytes.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
    word.map_or("-".to_owned(), |word| word.to_string())
}

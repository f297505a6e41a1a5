//! Log, clock and tick: logs each tick with the time since the last one, and
//! stops after as many as its configuration says (0: never).

use std::time::{Duration, SystemTime};

use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Clock { left: 0, last: None }));
}}

struct Clock {
    left: u32,
    last: Option<SystemTime>,
}

impl Context for Clock {}

impl RootContext for Clock {
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let Some(left) = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse().ok())
        else {
            log::error!("configuration: how many ticks, as a number");
            return false;
        };
        self.left = left;
        self.last = Some(self.get_current_time());
        self.set_tick_period(Duration::from_millis(250));
        true
    }

    fn on_tick(&mut self) {
        let now = self.get_current_time();
        let since = self
            .last
            .replace(now)
            .and_then(|last| now.duration_since(last).ok());
        log::info!("tick after {} ms", since.unwrap_or_default().as_millis());
        if self.left > 0 {
            self.left -= 1;
            if self.left == 0 {
                self.set_tick_period(Duration::ZERO);
                log::warn!("no more ticks");
            }
        }
    }
}

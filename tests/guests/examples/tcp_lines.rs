//! Buffers of a TCP connection: holds what the client sends until a line is
//! complete, and puts its length in front; marks what the upstream sends; closes
//! at `quit`, and at `leave`, which it lets go; holds `hold` for good.

use proxy_wasm::traits::{Context, StreamContext};
use proxy_wasm::types::{Action, LogLevel, PeerType};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_stream_context(|_, _| Box::new(Lines));
}}

struct Lines;

impl Context for Lines {
    fn on_done(&mut self) -> bool {
        log::info!("done");
        true
    }
}

impl StreamContext for Lines {
    fn on_new_connection(&mut self) -> Action {
        log::info!("new connection");
        Action::Continue
    }

    fn on_downstream_data(&mut self, size: usize, end: bool) -> Action {
        log::info!("downstream {size} end {end}");
        let data = self.get_downstream_data(0, size).unwrap_or_default();
        if data.starts_with(b"quit") {
            self.close_downstream();
            return Action::Pause;
        }
        if data.starts_with(b"leave") {
            self.close_downstream();
            return Action::Continue;
        }
        if data.starts_with(b"hold") {
            return Action::Pause;
        }
        if !end && !data.ends_with(b"\n") {
            return Action::Pause;
        }
        if size > 0 {
            self.set_downstream_data(0, 0, format!("{size}:").as_bytes());
        }
        Action::Continue
    }

    fn on_downstream_close(&mut self, peer: PeerType) {
        log::info!("downstream close {peer:?}");
    }

    fn on_upstream_data(&mut self, size: usize, end: bool) -> Action {
        log::info!("upstream {size} end {end}");
        if size > 0 {
            self.set_upstream_data(size, 0, b"!");
        }
        Action::Continue
    }

    fn on_upstream_close(&mut self, peer: PeerType) {
        log::info!("upstream close {peer:?}");
    }

    fn on_log(&mut self) {
        log::info!("log");
    }
}

//! The signals that end a balancer.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and ctrl-C. SIGHUP, which would end the program and cut every
/// connection, is only answered in the log.
pub(super) struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and gives its name.
    pub(super) async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "ctrl-C",
                _ = self.hang_up.recv() => tracing::warn!(
                    "SIGHUP: goes on as it is; restart to use a new configuration"
                ),
            }
        }
    }
}

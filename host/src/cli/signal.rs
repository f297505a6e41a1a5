//! The signals that end or reload the balancer.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

/// What follows from a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalAction {
    /// End; the signal's name.
    End(&'static str),
    /// Read the configuration again.
    Reload,
}

/// SIGTERM, ctrl-C and SIGHUP.
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

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> SignalAction {
        tokio::select! {
            _ = self.hang_up.recv() => SignalAction::Reload,
            _ = self.terminate.recv() => SignalAction::End("SIGTERM"),
            _ = self.interrupt.recv() => SignalAction::End("ctrl-C"),
        }
    }

    /// Waits for one that ends the balancer; its name.
    pub(super) async fn end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "ctrl-C",
        }
    }

    /// As [`Signals::end`], but no longer than this; `None`: there was none.
    pub(super) async fn end_within(&mut self, limit: Duration) -> Option<&'static str> {
        timeout(limit, self.end()).await.ok()
    }
}

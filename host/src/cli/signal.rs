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

/// SIGTERM, ctrl-C, SIGQUIT, SIGUSR1, SIGHUP and SIGUSR2.
pub(super) struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    user_1: Signal,
    user_2: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next one that something follows from.
    pub(super) async fn next(&mut self) -> SignalAction {
        loop {
            let end = tokio::select! {
                _ = self.hang_up.recv() => return SignalAction::Reload,
                _ = self.interrupt.recv() => "ctrl-C",
                _ = self.quit.recv() => "SIGQUIT",
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.user_1.recv() => "SIGUSR1",
                _ = self.user_2.recv() => {
                    tracing::warn!(
                        "SIGUSR2 is reserved for upgrading the binary; nothing is done"
                    );
                    continue;
                }
            };
            return SignalAction::End(end);
        }
    }

    /// Waits for one that ends the balancer; its name.
    pub(super) async fn end(&mut self) -> &'static str {
        loop {
            match self.next().await {
                SignalAction::End(signal) => return signal,
                SignalAction::Reload => {
                    tracing::warn!("SIGHUP: no configuration is read now; nothing is done");
                }
            }
        }
    }

    /// As [`Signals::end`], but no longer than this; `None`: there was none.
    pub(super) async fn end_within(&mut self, limit: Duration) -> Option<&'static str> {
        timeout(limit, self.end()).await.ok()
    }
}

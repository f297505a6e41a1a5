//! The signals that end, reload or upgrade the balancer.

use std::io;
use std::time::Duration;

use rustix::process::Signal as ProcessSignal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

/// What follows from a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalAction {
    /// End; the signal's name.
    End(&'static str),
    /// Read the configuration again.
    Reload,
    /// Start the program that takes this one's place.
    Upgrade,
}

impl SignalAction {
    /// What follows from one of those that [`Signals::any`] gives.
    pub(super) fn of(signal: ProcessSignal) -> SignalAction {
        match signal {
            ProcessSignal::HUP => SignalAction::Reload,
            ProcessSignal::USR2 => SignalAction::Upgrade,
            ProcessSignal::INT => SignalAction::End("ctrl-C"),
            ProcessSignal::QUIT => SignalAction::End("SIGQUIT"),
            ProcessSignal::USR1 => SignalAction::End("SIGUSR1"),
            _ => SignalAction::End("SIGTERM"),
        }
    }

    /// Says that nothing follows now from a signal that would not end the balancer, but for
    /// what a log does at each SIGHUP.
    pub(super) fn log_ignored(self) {
        match self {
            SignalAction::Reload => {
                tracing::warn!(
                    "SIGHUP: no configuration is read now; only log files are opened anew"
                );
            }
            SignalAction::Upgrade => {
                tracing::warn!("SIGUSR2: no process can take over now; nothing is done");
            }
            SignalAction::End(_) => {}
        }
    }
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

    /// Waits for the next one.
    pub(super) async fn any(&mut self) -> ProcessSignal {
        tokio::select! {
            _ = self.hang_up.recv() => ProcessSignal::HUP,
            _ = self.interrupt.recv() => ProcessSignal::INT,
            _ = self.quit.recv() => ProcessSignal::QUIT,
            _ = self.terminate.recv() => ProcessSignal::TERM,
            _ = self.user_1.recv() => ProcessSignal::USR1,
            _ = self.user_2.recv() => ProcessSignal::USR2,
        }
    }

    /// Waits for the next one: what follows from it.
    pub(super) async fn next(&mut self) -> SignalAction {
        SignalAction::of(self.any().await)
    }

    /// Waits for one that ends the balancer; its name.
    pub(super) async fn end(&mut self) -> &'static str {
        loop {
            match self.next().await {
                SignalAction::End(signal) => return signal,
                other => other.log_ignored(),
            }
        }
    }

    /// As [`Signals::end`], but no longer than this; `None`: there was none.
    pub(super) async fn end_within(&mut self, limit: Duration) -> Option<&'static str> {
        timeout(limit, self.end()).await.ok()
    }
}

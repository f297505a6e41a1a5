//! A process that was started to take over.

use std::process::Child;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::{Instant, sleep_until};

/// A process that was started to take over, and has not yet.
pub(super) struct Started {
    child: Child,
    limit: Instant,
}

impl Started {
    pub(super) fn new(child: Child) -> Started {
        Started {
            child,
            limit: Instant::now() + CONNECT,
        }
    }

    pub(super) fn process(&self) -> Option<i32> {
        i32::try_from(self.child.id()).ok()
    }

    /// Waits until it has ended, or ends it when it hangs; which of the two is logged.
    pub(super) async fn gone(&mut self, child_ends: &mut Signal) {
        let process = self.child.id();
        loop {
            match self.child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => {
                    tracing::error!(
                        "process {process} ended ({status}) and has not taken over; this process \
                         goes on"
                    );
                    return;
                }
                Err(error) => {
                    tracing::error!("what became of process {process} is not known: {error}");
                    return;
                }
            }
            tokio::select! {
                _ = child_ends.recv() => {}
                () = sleep_until(self.limit) => {
                    tracing::error!(
                        "process {process} has not taken over within {CONNECT:?}, and is ended"
                    );
                    self.end();
                    // Or it would be ended again and again until it has.
                    self.limit += CONNECT;
                }
            }
        }
    }

    /// Ends it at once: it serves nobody.
    pub(super) fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
    }
}

/// How long it may take: longer than the host waits for a candidate to start.
const CONNECT: Duration = Duration::from_secs(90);

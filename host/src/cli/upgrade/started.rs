//! A process that was started to take over.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::{Instant, sleep_until};

/// A process that was started to take over, and has not yet.
pub(super) struct Started {
    child: Child,
    limit: Instant,
    end: End,
}

/// Who ends it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It does.
    Own,
    /// This process, since it could not take over.
    Forced,
}

impl Started {
    pub(super) fn new(child: Child) -> Started {
        Started {
            child,
            limit: Instant::now() + CONNECT,
            end: End::Own,
        }
    }

    pub(super) fn process(&self) -> Option<i32> {
        i32::try_from(self.child.id()).ok()
    }

    /// Whether it has this number.
    pub(super) fn is(&self, process: i32) -> bool {
        self.process() == Some(process)
    }

    /// Waits until it has ended, or ends it when it hangs; which of the two is logged.
    pub(super) async fn gone(&mut self, child_ends: &mut Signal) {
        let process = self.child.id();
        loop {
            match self.child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => {
                    tracing::error!(
                        "process {process} {} and has not taken over; this process goes on",
                        self.ended(status)
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

    /// How it ended. A signal of this process must not look like that of an operator, or
    /// of a system that is short of memory.
    fn ended(&self, status: ExitStatus) -> String {
        match (self.end, status.signal()) {
            (End::Forced, Some(_)) => "could not start, was ended for it,".to_owned(),
            _ => format!("ended ({status})"),
        }
    }

    /// Ends it at once: it serves nobody.
    pub(super) fn end(&mut self) {
        self.end = End::Forced;
        // It may have ended by itself.
        let _ = self.child.kill();
    }
}

/// How long it may take: longer than the host waits for a candidate to start.
const CONNECT: Duration = Duration::from_secs(90);

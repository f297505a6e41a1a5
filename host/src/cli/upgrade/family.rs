//! What process 1 owes to the processes that took its place.

use rustix::io::Errno;
use rustix::process::{Pid, Signal as ProcessSignal, WaitOptions, kill_process_group, wait};
use tokio::signal::unix::Signal;

use crate::cli::signal::Signals;

/// Whether this is the process that a container ends with.
pub(super) fn is_init() -> bool {
    std::process::id() == 1
}

/// Whether process 1 waits for this process, or is it: it ends, and the container with it,
/// when the last process is gone that it started, or that one of those did.
pub(super) fn is_member() -> bool {
    is_init() || std::env::var_os(MEMBER).is_some()
}

/// The variable that such a process finds.
pub(super) const MEMBER: &str = "DTR_LB_OF_PROCESS_1";

/// The processes that took the place of process 1, one after the other. The container ends
/// with process 1, and signals are sent to it: so it stays, and passes them on.
pub(crate) struct Family {
    group: Option<Pid>,
    child_ends: Signal,
}

impl Family {
    /// The first of them leads the group that all are in.
    pub(super) fn of(first: i32, child_ends: Signal) -> Family {
        Family {
            group: Pid::from_raw(first),
            child_ends,
        }
    }

    /// Passes a signal on to all.
    pub(crate) fn signal(&self, signal: ProcessSignal) {
        if let Some(group) = self.group {
            // All may have ended.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits until all have ended, and passes signals on meanwhile.
    ///
    /// # Errors
    /// When the last one to end did not end well.
    pub(crate) async fn end(mut self, signals: &mut Signals) -> Result<(), anyhow::Error> {
        let mut last = None;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((process, status))) => {
                    last = Some((process, status));
                    continue;
                }
                Err(Errno::CHILD) => break,
                // It has children, and none has ended.
                Ok(None) | Err(_) => {}
            }
            tokio::select! {
                _ = self.child_ends.recv() => {}
                signal = signals.any() => self.signal(signal),
            }
        }
        match last {
            Some((process, status)) if status.exit_status() != Some(0) => {
                let process = process.as_raw_pid();
                let how = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => format!("with exit code {code}"),
                    (None, Some(signal)) => format!("by signal {signal}"),
                    (None, None) => "in an unknown way".to_owned(),
                };
                Err(anyhow::anyhow!(
                    "process {process}, which had taken over, ended {how}"
                ))
            }
            _ => Ok(()),
        }
    }
}

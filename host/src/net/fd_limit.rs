//! How many files the process may open, and how many sessions follow from it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the process's limit as far as it may, and gives the number of sessions
/// that fit. Without this bound clients could use up all files, and every replica
/// would look as if it refused.
pub(crate) fn sessions_that_fit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    match current {
        Some(files) => sessions_with(usize::try_from(files).unwrap_or(usize::MAX)),
        None => usize::MAX,
    }
}

/// Two sockets each, beside a quarter for pipes and what the host itself needs.
fn sessions_with(files: usize) -> usize {
    ((files - files / 4).saturating_sub(OWN) / 2).max(1)
}

/// Listeners, VMs, probes, the admin listener.
const OWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_leave_files_for_everything_else() {
        for (files, sessions) in [(0, 1), (64, 1), (200, 43), (1024, 352), (1 << 20, 393_184)] {
            assert_eq!(sessions_with(files), sessions, "{files} files");
        }
    }
}

//! How many files the process may open, and what they are kept for.

use std::fs;

use crate::net::local_resources;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The files a process may open, shared out: without that clients could use up all
/// of them, and every replica would look as if it refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileBudget {
    files: usize,
}

/// What files are needed for beside connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileNeeds {
    pub(crate) workers: usize,
    /// Those for traffic.
    pub(crate) listeners: usize,
    /// Generations of workers whose connections are not over.
    pub(crate) retired: usize,
    /// Calls of filters, probes among them, under way at once.
    pub(crate) calls: usize,
}

impl FileNeeds {
    /// For all of it, and one more set of workers: a reload needs it before the old
    /// ones end.
    fn reserved(&self) -> usize {
        let waiting = 2 * self.waiting();
        let retired = self.retired * self.workers * RUNTIME;
        PROCESS + 2 * self.generation() + retired + waiting + self.calls
    }

    /// Clients that were accepted and wait for a place: each may be served beyond the
    /// limit, when its worker is to accept no more.
    pub(crate) fn waiting(&self) -> usize {
        self.workers * self.listeners
    }

    /// For a set of workers: their runtimes, and the listening sockets, which the host
    /// holds once more.
    fn generation(&self) -> usize {
        self.workers * (RUNTIME + 2 * self.listeners) + 2
    }
}

impl FileBudget {
    /// Raises the process's limit as far as it may.
    pub(crate) fn raise() -> FileBudget {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        let current = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.maximum,
            Err(_) => limit.current,
        };
        let files = current.map_or(usize::MAX, |files| files.try_into().unwrap_or(usize::MAX));
        FileBudget { files }
    }

    #[cfg(test)]
    pub(crate) fn of(files: usize) -> FileBudget {
        FileBudget { files }
    }

    /// How many files the process may open.
    pub(crate) fn files(&self) -> usize {
        self.files
    }

    /// How many clients fit, each with two sockets.
    pub(crate) fn connections(&self, needs: &FileNeeds) -> usize {
        let kept = needs.reserved() + 2 * self.pipes() + self.admin_connections();
        (self.files.saturating_sub(kept) / 2).max(1)
    }

    /// How many pipes there may be: an eighth of the files.
    pub(crate) fn pipes(&self) -> usize {
        self.files / 16
    }

    /// How many clients the admin listener may have.
    pub(crate) fn admin_connections(&self) -> usize {
        (self.files / 16).clamp(FEWEST_ADMIN, MOST_ADMIN)
    }

    /// Whether another set of workers can be started now.
    ///
    /// # Errors
    /// When it lacks files: how many it needs, and how many are open.
    pub(crate) fn check_room(&self, needs: &FileNeeds) -> Result<(), FilesLacking> {
        let needed = needs.generation();
        let open = match fs::read_dir("/proc/self/fd") {
            Ok(open) => open.count(),
            Err(error) if local_resources::are_lacking(&error) => self.files,
            // Without /proc nobody knows, and the attempt will tell.
            Err(_) => 0,
        };
        match open.saturating_add(needed) > self.files {
            true => Err(FilesLacking {
                needed,
                open,
                files: self.files,
            }),
            false => Ok(()),
        }
    }
}

/// What a set of workers lacks.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "new workers need about {needed} files, and of {files} the process may open {open} are open; \
     raise LimitNOFILE (ulimit -n), or wait until connections have ended"
)]
pub struct FilesLacking {
    needed: usize,
    open: usize,
    files: usize,
}

/// Standard streams, signals, the log, look-ups of names.
const PROCESS: usize = 24;
/// A worker's event loop.
const RUNTIME: usize = 4;
const FEWEST_ADMIN: usize = 4;
const MOST_ADMIN: usize = 64;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const NEEDS: FileNeeds = FileNeeds {
        workers: 2,
        listeners: 2,
        retired: 0,
        calls: 6,
    };

    #[test]
    fn connections_leave_files_for_everything_else() {
        for (files, connections) in [(0, 1), (64, 1), (200, 45), (1024, 379), (1 << 20, 458_683)] {
            let budget = FileBudget { files };
            assert_eq!(budget.connections(&NEEDS), connections, "{files} files");
        }
        let unlimited = FileBudget { files: usize::MAX };
        assert!(unlimited.connections(&NEEDS) > 1 << 40);
    }

    #[test]
    fn workers_of_earlier_reloads_and_probes_leave_fewer() {
        let budget = FileBudget { files: 300 };
        let few = budget.connections(&NEEDS);
        let retired = FileNeeds {
            retired: 3,
            ..NEEDS
        };
        assert_eq!(budget.connections(&retired), few - 3 * 2 * RUNTIME / 2);
        let probes = FileNeeds { calls: 46, ..NEEDS };
        assert_eq!(budget.connections(&probes), few - 20);
    }

    #[test]
    fn a_set_of_workers_that_does_not_fit_is_refused_with_numbers_and_remedy() {
        let error = FileBudget { files: 10 }.check_room(&NEEDS).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("need about 18 files"), "{text}");
        assert!(text.contains("of 10 the process may open"), "{text}");
        assert!(text.contains("raise LimitNOFILE"), "{text}");
        assert!(FileBudget { files: 1 << 20 }.check_room(&NEEDS).is_ok());
    }
}

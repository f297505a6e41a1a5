//! How a host runs.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

#[cfg(test)]
use crate::fault::FaultSwitch;
use crate::proxy::reload_request::ReloadSender;
use crate::upstream::resolver::{self, Lookup};

/// How a host runs; what it does is the plan's.
#[derive(Clone)]
pub struct HostOptions {
    /// Threads, each with its own sockets and VM. Default: one per core.
    pub workers: NonZeroUsize,
    /// Sessions open at once, over all workers; clients beyond that wait. Fewer when
    /// the plan says so, or the process may not open files enough.
    pub max_sessions: usize,
    /// Before the first attempt to replace a filter that failed. Grows to 30 s.
    pub reload_backoff: Duration,
    /// All connect attempts of a connection together.
    pub dial_limit: Duration,
    /// How long the start waits for DNS; what takes longer is learnt later.
    pub resolve_limit: Duration,
    /// How long a client of the admin listener may take to send the head of a
    /// request, and its body, and may go without reading what it asked for; and how
    /// long the filter's answer may take.
    pub admin_timeout: Duration,
    /// How long a process that takes this one's place may take to start.
    pub takeover_limit: Duration,
    /// Takes requests for a reload that come over the admin listener. `None`: nobody can
    /// ask for one there.
    pub reloads: Option<ReloadSender>,
    /// Counted by the writer of the log, and shown among the metrics: lines that
    /// were dropped because they could not be written.
    pub log_lines_dropped: Arc<AtomicU64>,
    /// The folder in which compiled filters are kept for the next start. `None`: each
    /// start compiles them.
    pub module_cache: Option<PathBuf>,
    /// Looks up DNS names. Default: the system's resolver.
    pub lookup: Lookup,
    #[cfg(test)]
    pub(crate) fault: FaultSwitch,
}

impl Default for HostOptions {
    fn default() -> Self {
        HostOptions {
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_sessions: 1_000_000,
            reload_backoff: Duration::from_secs(1),
            dial_limit: Duration::from_secs(30),
            resolve_limit: Duration::from_secs(2),
            admin_timeout: Duration::from_secs(10),
            takeover_limit: Duration::from_secs(60),
            reloads: None,
            log_lines_dropped: Arc::default(),
            module_cache: None,
            lookup: resolver::system(),
            #[cfg(test)]
            fault: FaultSwitch::default(),
        }
    }
}

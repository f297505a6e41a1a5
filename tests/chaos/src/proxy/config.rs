//! What every kind of balancer is configured with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Replicas, and how they are checked; each kind has its own words for it.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) replicas: Vec<Endpoint>,
    pub(crate) check: Check,
    /// Whether there is one more listener.
    pub(crate) extra_listener: bool,
    /// Fields of the configuration of `dtr-lb` alone.
    pub(crate) fields: serde_json::Map<String, serde_json::Value>,
}

/// One replica.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    /// An address, or a name that leads to one.
    pub(crate) host: String,
    pub(crate) plain: u16,
    pub(crate) tls: u16,
}

/// How replicas are checked.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// Over HTTP, where clients are served.
    Plain,
    /// Over HTTPS, with a certificate this authority signed.
    Tls(PathBuf),
}

/// Writes a configuration in one step: an earlier reload may just be reading it.
///
/// # Errors
/// When the folder is gone or full.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(beside, path)
}

/// Between two checks, and how long one may take. The same for every kind.
pub(super) const INTERVAL: &str = "1s";
/// Between two checks while a change is pending.
pub(super) const FAST_INTERVAL: &str = "500ms";
/// How long a connect attempt may take.
pub(super) const CONNECT_TIMEOUT: &str = "1s";
/// How long the last connections may go on.
pub(super) const DRAIN_TIMEOUT: &str = "20s";

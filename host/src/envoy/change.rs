//! What became of a plan that a folder was given.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What became of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The folder was empty: Envoy can be started.
    First,
    /// The folder had it already.
    Unchanged,
    /// It has replaced another.
    Changed(Change),
}

/// How one plan replaced another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// How it is known that Envoy has it.
    pub confirmed: Confirmed,
    /// The listeners that are others now, or gone, by name: Envoy closes connections
    /// that they accepted after its drain time.
    pub drained: Vec<String>,
    /// Whether the bootstrap is another: that counts when Envoy is started again.
    pub needs_restart: bool,
}

/// How it is known that Envoy has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// It says so.
    ByEnvoy,
    /// It did not answer, and was given time.
    ByWaiting,
}

/// Why a plan is not in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A file can't be written, read or removed.
    #[error("{}: {source}; check the folder's permissions and the space on it", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of this name is there that was not written by a folder of ours.
    #[error("{} holds no list of resources; remove it, or give another folder", .0.display())]
    Foreign(PathBuf),
    /// Envoy has not taken what was written.
    #[error(
        "the Envoy at {admin} refuses {} and goes on with what it had of it; its log says why",
        path.display()
    )]
    Rejected {
        /// Which file.
        path: PathBuf,
        /// Envoy's admin address.
        admin: SocketAddr,
    },
}

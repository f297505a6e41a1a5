//! Why a takeover fails.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a takeover fails, or can't be listened for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeoverError {
    /// Nobody listens on the socket.
    #[error(
        "no dtr-lb can be reached at {path:?}: {source}; start without --takeover where none \
         runs, or name the \"takeover_socket\" of the one that does"
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process listens on the socket.
    #[error(
        "another process listens on {path:?}; start with --takeover to go on in its place, or \
         give another \"takeover_socket\""
    )]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is where it should be.
    #[error("{path:?} is there and is no socket; give another \"takeover_socket\"")]
    NoSocket {
        /// What is there.
        path: PathBuf,
    },
    /// The socket can't be made.
    #[error(
        "can't listen on {path:?}: {source}; give a \"takeover_socket\" in a folder that the user \
         of dtr-lb may write to"
    )]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The other process is of another user.
    #[error("the process at the socket's other end is of user {user}, not of {own} or root")]
    Stranger {
        /// Its user's number.
        user: u32,
        /// That of this process.
        own: u32,
    },
    /// What connected has gone, and was no candidate: another process may only have looked
    /// whether the socket is free.
    #[error("what connected has gone without a word")]
    NoCandidate,
    /// The other process closed the socket, as it does at its end.
    #[error("the other process ended, or closed the socket")]
    Closed,
    /// The socket failed.
    #[error("the socket between the processes failed: {0}")]
    Io(#[from] io::Error),
    /// This process was too slow to accept.
    #[error("the other process waited no longer, and serves on")]
    TakenBack,
    /// The other process sent nothing in time.
    #[error("the other process {what} within {limit:?}")]
    Silent {
        /// What it has not done.
        what: &'static str,
        /// In which time.
        limit: Duration,
    },
    /// An order takes too long to be carried out, or to be written.
    #[error(
        "an order to this process is still being carried out after {limit:?}; see whether \
         \"state_dir\" can be written to, and try again"
    )]
    Orders {
        /// How long they were waited for.
        limit: Duration,
    },
    /// The other process sent something else.
    #[error("the other process sent what is no message here: {0}")]
    Malformed(String),
    /// The other process refuses.
    #[error("the process that serves refuses: {0}")]
    Refused(String),
    /// The successor could not start.
    #[error("the new process does not start: {0}")]
    Failed(String),
}

impl TakeoverError {
    /// What an error means of a process that has not said yet what it wants.
    pub(crate) fn before_hello(self) -> TakeoverError {
        match self {
            TakeoverError::Closed => TakeoverError::NoCandidate,
            other => other,
        }
    }
}

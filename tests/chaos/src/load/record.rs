//! What became of a connection.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What a client saw of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The whole answer, every byte right, and its end.
    Ok,
    /// Nobody listened.
    Refused,
    /// Closed before the first byte.
    ClosedUnserved,
    /// Reset before the first byte.
    ResetUnserved,
    /// Closed in the middle of the answer.
    ClosedEarly,
    /// Reset in the middle of the answer.
    Reset,
    /// Other bytes than were asked for, or more of them.
    WrongBytes,
    /// Not done when the client's patience ended.
    Timeout,
    /// The client itself lacked a port or a descriptor: says nothing of the proxy.
    Harness,
}

impl Outcome {
    /// What an error on a socket comes to.
    pub(crate) fn of(error: &io::Error, served: Served) -> Self {
        use io::ErrorKind as Kind;
        match (error.kind(), served) {
            (Kind::ConnectionRefused, _) => Self::Refused,
            (Kind::AddrNotAvailable | Kind::AddrInUse, _) => Self::Harness,
            _ if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => Self::Harness,
            (Kind::UnexpectedEof, Served::Nothing) => Self::ClosedUnserved,
            (Kind::UnexpectedEof, Served::Something) => Self::ClosedEarly,
            (Kind::InvalidData, _) => Self::WrongBytes,
            (_, Served::Nothing) => Self::ResetUnserved,
            (_, Served::Something) => Self::Reset,
        }
    }

    /// As the table says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::ClosedUnserved => "closed unserved",
            Self::ResetUnserved => "reset unserved",
            Self::ClosedEarly => "closed early",
            Self::Reset => "reset",
            Self::WrongBytes => "wrong bytes",
            Self::Timeout => "timeout",
            Self::Harness => "harness",
        }
    }
}

/// Whether a byte of the answer had come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    Nothing,
    Something,
}

/// One connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) began: Instant,
    /// From its start.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) ended: Instant,
    pub(crate) outcome: Outcome,
}

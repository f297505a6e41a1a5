//! What a host function returns to the guest, and why it may not be "ok".

use std::fmt;

/// The status a host function returns to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(
    /// As the guest sees it.
    pub u32,
);

impl Status {
    /// Done.
    pub const OK: Status = Status(0);
    /// What was asked for is not there.
    pub const NOT_FOUND: Status = Status(1);
    /// An argument makes no sense, or not now.
    pub const BAD_ARGUMENT: Status = Status(2);
    /// A value could not be written in the ABI's form.
    pub const SERIALIZATION_FAILURE: Status = Status(3);
    /// A value could not be read.
    pub const PARSE_FAILURE: Status = Status(4);
    /// A pointer outside the guest's memory.
    pub const INVALID_MEMORY_ACCESS: Status = Status(6);
    /// The queue is empty.
    pub const EMPTY: Status = Status(7);
    /// Another VM changed the shared value meanwhile.
    pub const CAS_MISMATCH: Status = Status(8);
    /// The host failed.
    pub const INTERNAL_FAILURE: Status = Status(10);
    /// The host does not do this.
    pub const UNIMPLEMENTED: Status = Status(12);
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            0 => "OK",
            1 => "NOT_FOUND",
            2 => "BAD_ARGUMENT",
            3 => "SERIALIZATION_FAILURE",
            4 => "PARSE_FAILURE",
            5 => "BAD_EXPRESSION",
            6 => "INVALID_MEMORY_ACCESS",
            7 => "EMPTY",
            8 => "CAS_MISMATCH",
            9 => "RESULT_MISMATCH",
            10 => "INTERNAL_FAILURE",
            11 => "BROKEN_CONNECTION",
            12 => "UNIMPLEMENTED",
            other => return write!(f, "status {other}"),
        };
        f.write_str(name)
    }
}

/// Why a host function did not do what it was asked.
#[derive(Debug)]
pub(super) enum HostcallError {
    NotFound,
    BadArgument,
    Serialization,
    Parse,
    Memory,
    Empty,
    CasMismatch,
    Internal,
    Unimplemented,
    /// The guest cannot go on: it trapped in its allocator.
    Broken(wasmtime::Error),
}

impl HostcallError {
    /// The status a guest sees; only a broken VM traps.
    pub(super) fn status(self) -> wasmtime::Result<Status> {
        Ok(match self {
            HostcallError::NotFound => Status::NOT_FOUND,
            HostcallError::BadArgument => Status::BAD_ARGUMENT,
            HostcallError::Serialization => Status::SERIALIZATION_FAILURE,
            HostcallError::Parse => Status::PARSE_FAILURE,
            HostcallError::Memory => Status::INVALID_MEMORY_ACCESS,
            HostcallError::Empty => Status::EMPTY,
            HostcallError::CasMismatch => Status::CAS_MISMATCH,
            HostcallError::Internal => Status::INTERNAL_FAILURE,
            HostcallError::Unimplemented => Status::UNIMPLEMENTED,
            HostcallError::Broken(error) => return Err(error),
        })
    }
}

/// What a host function's body returns.
pub(super) type HostcallResult = Result<(), HostcallError>;

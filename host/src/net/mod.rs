//! Sockets and what passes through them: bytes, headers, and the system's limits.

pub(crate) mod fd_limit;
#[cfg_attr(not(test), expect(dead_code, reason = "forwarding takes it up next"))]
pub(crate) mod first_flight;
pub(crate) mod forward;
pub(crate) mod headers;
pub(crate) mod pipe;
pub(crate) mod socket;

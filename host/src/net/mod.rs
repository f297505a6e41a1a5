//! Moving bytes, and what the system allows of them.

pub(crate) mod fd_limit;
pub(crate) mod forward;
pub(crate) mod headers;
pub(crate) mod pipe;
pub(crate) mod socket;

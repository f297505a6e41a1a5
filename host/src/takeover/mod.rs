//! How one process goes on in the place of another, without a refused connection.
//!
//! The process that serves listens on a Unix socket. Its successor connects, and gets its
//! listening sockets and what its VMs share; it starts its workers, and says that it is
//! ready; it gets what has changed meanwhile, and accepts; only then the predecessor
//! accepts no more. Until then whatever happens to the successor changes nothing.

pub(crate) mod channel;
pub(crate) mod error;
pub(crate) mod listener;
pub(crate) mod message;

//! The proxy: its start and end, its workers, and a connection from accept to log.

mod accept;
mod admin;
mod context;
pub(crate) mod host;
pub(crate) mod options;
mod session;
pub(crate) mod shared_state;
mod sockets;
mod worker;

//! The proxy: its start and end, its workers, and a connection from accept to log.

mod accept;
mod admin;
#[cfg(test)]
mod captured_log;
mod caught_panic;
mod connection;
mod connection_limit;
mod context;
#[cfg(test)]
mod fault;
mod generation;
pub(crate) mod host;
mod landing;
mod listener;
pub(crate) mod options;
mod session;
mod shared_state;
mod sockets;
mod worker;

#[cfg(test)]
mod panic_tests;

//! The proxy: its start and end, its workers, and a connection from accept to log.

mod accept;
mod admin;
mod bound_listener;
mod cluster_watch;
mod connection;
mod connection_limit;
mod context;
mod generation;
pub(crate) mod handover;
pub(crate) mod host;
mod landing;
mod listener;
mod main_thread;
pub(crate) mod options;
mod order_file;
pub(crate) mod passed_sockets;
mod pause;
pub(crate) mod predecessor;
mod preface;
mod proxied_client;
pub(crate) mod reload_request;
mod remaining_sessions;
mod requested_service;
mod session;
mod shared_entries;
mod shared_state;
mod socket_set;
mod worker;

#[cfg(test)]
mod panic_tests;
#[cfg(test)]
mod takeover_tests;

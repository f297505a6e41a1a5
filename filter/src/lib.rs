//! Probes `/_ping`, judges each replica, and picks one for every TCP connection.
//!
//! One program, compiled to WebAssembly, for any host that speaks proxy-wasm. The
//! [`balancer`] is its core: facts and the time go in, effects come out. `glue` is
//! the only code that knows the host.

#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub mod admin;
pub mod answer;
pub mod balancer;
pub mod board;
mod census;
mod checkup;
mod choice;
pub mod config;
mod contest;
mod exchange;
mod gate;
mod lease;
pub mod metric;
pub mod moment;
mod page;
mod passive;
pub mod pool;
pub mod probe;
pub mod question;
pub mod random;
pub mod reason;
pub mod replica;
mod rounds;
pub mod route;
pub mod session;
pub mod status;
mod traffic;
pub mod verdict;

#[cfg(target_arch = "wasm32")]
mod glue;

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
pub mod balance;
pub mod balancer;
pub mod clients;
pub mod compare;
pub mod config;
pub mod contract;
pub mod effect;
pub mod health;
pub mod history;
pub mod log_limit;
mod metrics;
mod monitor;
pub mod printable;
pub mod random;
pub mod registries;
pub mod requested_host;
#[cfg(test)]
mod sample;
pub mod shared;
pub mod time;

#[cfg(target_arch = "wasm32")]
mod glue;

//! The host.

mod admin;
mod cluster;
pub mod config;
mod control;
mod dial;
mod drain;
pub mod envoy;
mod error;
mod forward;
mod guest;
mod host;
mod http_call;
mod listener;
mod metrics;
mod pipe;
pub mod plan;
mod resolver;
mod session;
pub mod standin;
pub mod testkit;
mod tls;
pub mod vm;
mod worker;

pub use drain::Drained;
pub use error::StartError;
pub use forward::DataCallbacks;
pub use host::{Host, HostOptions};
pub use resolver::{Looking, Lookup};

/// The filter, compiled to WebAssembly: the very module Envoy is given.
pub const FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/filter.wasm"));

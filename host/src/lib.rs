//! The host.

pub mod config;
pub mod envoy;
pub mod plan;
pub mod standin;
pub mod vm;

/// The filter, compiled to WebAssembly: the very module Envoy is given.
pub const FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/filter.wasm"));

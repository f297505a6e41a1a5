//! The only code that knows the host.
//!
//! A callback reads what it needs, asks the balancer, carries out what follows,
//! and returns. It never panics, since a panic in Envoy cuts every connection of
//! that worker: what a host refuses is logged or counted, and the connection goes
//! the proxy's own way.
//!
//! The ABI (proxy-wasm 0.2.1) is spoken directly. The Rust SDK would panic in
//! dozens of places where a host deviates, and it exports the data callbacks
//! whether a filter wants them or not: each chunk of each connection would pass
//! through the VM to no purpose, and a host could not leave the bytes in the
//! kernel.

mod export;
mod host;
mod http;
mod memory;
mod root;
mod stream;
mod vm;

//! The only code that knows the host.
//!
//! A callback reads what it needs, asks the balancer, carries out what follows,
//! and returns. It never panics, since a panic in Envoy cuts every connection of
//! that worker: what a host refuses is logged or counted, and the connection goes
//! the proxy's own way. So of `proxy_wasm` only the fallible `hostcalls` are used,
//! never the helpers of its traits, which unwrap.

mod context;
mod effects;
mod host;
mod http;
mod root;
mod stream;
mod upstream;
mod vm;

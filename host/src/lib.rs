//! The host.

mod admin;
mod cluster;
mod control;
mod dial;
mod drain;
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
pub mod testkit;
mod tls;
pub mod vm;
mod worker;

pub use drain::Drained;
pub use error::StartError;
pub use forward::DataCallbacks;
pub use host::{Host, HostOptions};
pub use resolver::{Looking, Lookup};

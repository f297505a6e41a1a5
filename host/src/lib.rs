//! A small standalone host for proxy-wasm filters, and dtr-lb, the balancer it
//! carries.
//!
//! A [`config::Config`] is what the operator wants, a [`plan::Plan`] what it comes
//! to, and a [`Host`] runs it; [`envoy::bootstrap`] writes the same plan for Envoy.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use dtr_lb_host::config::Config;
//! use dtr_lb_host::plan::Plan;
//! use dtr_lb_host::{FILTER, Host, HostOptions};
//!
//! # async fn balance() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load("lb.json".as_ref())?;
//! let host = Host::start(Plan::of(&config), FILTER, HostOptions::default()).await?;
//! println!("balancing on {:?}", host.listeners());
//! let drained = host.drain(Duration::from_secs(60)).await;
//! println!("{} connections were cut", drained.cut);
//! # Ok(())
//! # }
//! ```
//!
//! | feature | what it brings |
//! |---|---|
//! | `proxy` (default) | the standalone host, its configuration and the program `dtr-lb` |
//! | `testkit` | unit tests for filters |
//!
//! Filters run in the engine of [`proxy_wasm_engine`].

#[cfg(feature = "proxy")]
mod admin;
#[cfg(feature = "proxy")]
mod chain;
#[cfg(feature = "proxy")]
mod cluster;
#[cfg(feature = "proxy")]
pub mod config;
#[cfg(feature = "proxy")]
mod control;
#[cfg(feature = "proxy")]
mod dial;
#[cfg(feature = "proxy")]
mod drain;
#[cfg(feature = "proxy")]
pub mod envoy;
#[cfg(feature = "proxy")]
mod error;
#[cfg(feature = "proxy")]
mod files;
#[cfg(feature = "proxy")]
mod forward;
#[cfg(feature = "proxy")]
mod grpc_call;
#[cfg(feature = "proxy")]
mod guest;
#[cfg(feature = "proxy")]
mod host;
#[cfg(feature = "proxy")]
mod http_call;
#[cfg(feature = "proxy")]
mod listener;
#[cfg(feature = "proxy")]
mod metrics;
#[cfg(feature = "proxy")]
mod pinned;
#[cfg(feature = "proxy")]
mod pipe;
#[cfg(feature = "proxy")]
pub mod plan;
#[cfg(feature = "proxy")]
mod program;
#[cfg(feature = "proxy")]
mod resolver;
#[cfg(feature = "proxy")]
mod session;
#[cfg(feature = "proxy")]
pub mod standin;
#[cfg(feature = "testkit")]
pub mod testkit;
#[cfg(feature = "proxy")]
mod tls;
#[cfg(feature = "proxy")]
mod worker;

#[cfg(feature = "proxy")]
pub use drain::Drained;
#[cfg(feature = "proxy")]
pub use error::StartError;
#[cfg(feature = "proxy")]
pub use forward::DataCallbacks;
#[cfg(feature = "proxy")]
pub use host::{Host, HostOptions};
#[cfg(feature = "proxy")]
pub use program::{Rehearsal, rehearse};
#[cfg(feature = "proxy")]
pub use resolver::{Looking, Lookup};

/// The filter, compiled to WebAssembly: the very module Envoy is given.
#[cfg(feature = "proxy")]
pub const FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/filter.wasm"));

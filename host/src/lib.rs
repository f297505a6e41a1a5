//! A small standalone host for proxy-wasm filters, and dtr-lb, the balancer it
//! carries.
//!
//! A [`config::Config`] is what the operator wants, a [`plan::Plan`] what it comes
//! to, and a [`Host`] runs it; [`envoy::bootstrap`] writes the same plan for Envoy.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use dtr_lb::config::Config;
//! use dtr_lb::plan::Plan;
//! use dtr_lb::{FILTER, Host, HostOptions};
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
//! Filters run in the engine of [`proxy_wasm_engine`].

#[cfg(test)]
mod captured_log;
mod caught_panic;
pub mod cluster_status;
pub mod config;
mod control;
mod discovery;
pub mod envoy;
mod error;
#[cfg(test)]
mod fault;
mod filter;
mod filters;
mod http_client;
pub mod import;
mod metrics;
mod net;
pub mod plan;
mod proxy;
mod replace_file;
mod secret_file;
mod sha256;
pub mod standin;
pub mod survey;
mod takeover;
mod transport;
mod unique_map;
pub mod upload_test;
mod upstream;

pub use control::lifecycle::{Drained, HostPhase};
pub use control::session_list::{KilledSessions, ListedSession, SessionList};
pub use discovery::{Discovered, Discovery, discover};
pub use error::StartError;
pub use filter::{FILTER, filter_for_envoy, filter_for_services};
pub use filters::rehearsal::{Rehearsal, rehearse};
pub use http_client::{HttpError, HttpServer, http_get, http_request};
pub use net::fd_limit::FilesLacking;
pub use net::proxy_header::{ConnectionAddresses, ReceivedHeader};
pub use net::requested_name::RequestedName;
pub use proxy::handover::Successor;
pub use proxy::host::Host;
pub use proxy::host::takeover::ReadyCandidate;
pub use proxy::options::HostOptions;
pub use proxy::passed_sockets::PassedSockets;
pub use proxy::predecessor::Predecessor;
pub use proxy::reload_request::{NotReloaded, ReloadRequest, ReloadSender, Reloaded};
pub use replace_file::replace_file;
pub use secret_file::{exposure, read_secret};
pub use sha256::sha256;
pub use takeover::error::TakeoverError;
pub use takeover::listener::{Candidate, TakeoverListener};
pub use transport::Transport;
pub use upstream::resolver::{Lookup, LookupFuture};

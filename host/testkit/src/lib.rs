#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod builder;
mod calls;
mod cluster;
mod configuration;
mod fault;
mod guest;
pub mod guide;
mod headers;
mod http;
mod kit;
mod kit_error;
mod leak;
mod on_trap;
mod simulator;
mod state;
mod tcp;
mod transcript;

use std::time::Duration;

pub use builder::Builder;
pub use calls::grpc::GrpcStream;
pub use cluster::{
    Cluster, Request, accepts, answers, breaks_off, decides, first_of, grpc_answers, grpc_fails,
    hangs, refuses, resets,
};
pub use configuration::Configuration;
pub use fault::{Fault, cas_lost, memory_exhausted, next_call, returns, trap_in, unknown_cluster};
pub use guest::Guest;
pub use guest::build::{Build, BuildError};
pub use guest::find::guest;
pub use http::exchange::Exchange;
pub use http::request::HttpRequest;
pub use kit::TestKit;
pub use kit_error::KitError;
pub use leak::Leaks;
pub use on_trap::OnTrap;
pub use proxy_wasm_engine::{
    ContextId, Headers, ListenerDirection, Metric, Peer, Profile, Shared, Status,
};
pub use serde_json::json;
pub use state::LogLine;
pub use tcp::client::Client;
pub use tcp::connect::TcpConnect;
pub use tcp::upstream::Upstream;
pub use transcript::{Argument, Entry, EntryKind, HostcallRecord, Transcript};

/// `seconds` as a [`Duration`].
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `milliseconds` as a [`Duration`].
pub const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

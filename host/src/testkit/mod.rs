//! Unit tests for proxy-wasm filters, in plain `#[test]` functions.

mod agenda;
mod build;
mod builder;
mod call;
mod client;
mod cluster;
mod decode;
mod exchange;
mod explain;
mod fault;
mod guest;
mod http;
mod kit;
mod leak;
mod place;
mod stage;
mod status;
mod tcp;
mod transcript;
mod worker;

use std::time::Duration;

pub use crate::vm::{ContextId, Headers, ListenerDirection, Metric, Peer, Profile, Shared};
pub use build::{Build, BuildError};
pub use builder::{Builder, Configuration, KitError, OnTrap};
pub use client::{Client, TcpConnect, Upstream};
pub use cluster::{
    Cluster, Request, accepts, answers, breaks_off, decides, first_of, grpc_answers, grpc_fails,
    hangs, refuses, resets,
};
pub use exchange::{Exchange, HttpRequest};
pub use fault::{Fault, cas_lost, memory_exhausted, next_call, returns, trap_in, unknown_cluster};
pub use guest::{Guest, guest};
pub use kit::TestKit;
pub use leak::Leaks;
pub use place::LogLine;
pub use serde_json::json;
pub use status::Status;
pub use transcript::{Argument, Entry, Hostcall, Transcript, What};

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many milliseconds.
pub const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

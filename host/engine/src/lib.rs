#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod abi;
mod calls;
mod config;
mod context;
mod effect;
mod engine;
pub mod envoy;
mod envoy_message;
mod epoch;
mod exports;
mod filter_state;
mod hostcall;
mod http;
mod instance;
mod limits;
mod linker;
mod log;
mod log_limiter;
mod log_line;
mod map_access;
mod memory;
#[cfg(feature = "module-cache")]
mod module_cache;
mod observe;
mod open_calls;
pub mod pairs;
mod policy;
mod property;
mod protobuf;
mod shared;
mod start;
mod state;
mod status;
mod stream;
mod stream_info;
mod tcp;
mod trap;
mod vm;
mod wasi;
mod watched;

pub use abi::{
    AbiVersion, Action, Body, CallToken, ContextId, Direction, End, Headers, Peer, Profile, QueueId,
};
pub use config::{Environment, Plugin, VmConfig};
pub use effect::{CallReply, Effect, GrpcCall, HttpCall};
pub use engine::{Engine, Module};
pub use log_line::LogLine;
#[cfg(feature = "module-cache")]
pub use module_cache::{CacheError, CacheOutcome};
pub use observe::{Hostcall, Observer};
pub use shared::{Metric, MetricKind, Shared};
pub use status::Status;
pub use stream_info::{HttpInfo, ListenerDirection, TcpInfo, Upstream};
pub use trap::{LoadError, StartError, Trap, TrapReason};
pub use vm::{Finished, Vm};

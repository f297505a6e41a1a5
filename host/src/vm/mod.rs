//! One proxy-wasm virtual machine: a guest module, its contexts and the host
//! functions it may call.
//!
//! Host functions validate guest memory, record an [`Effect`], return a status.
//! They touch no socket and never re-enter the guest. Whoever owns the [`Vm`]
//! calls it, then drains [`Vm::next_effect`] and carries out what it finds.

mod abi;
mod calls;
mod config;
mod context;
mod effect;
mod engine;
mod filter_state;
mod gate;
mod guest;
mod hostcall;
mod http;
mod limits;
mod linker;
mod log;
mod machine;
mod memory;
mod observe;
mod pairs;
mod property;
mod protobuf;
mod shared;
mod state;
mod stream;
mod tcp;
mod trap;
mod wasi;

pub use abi::{
    AbiVersion, Action, CallToken, ContextId, Direction, End, Headers, Peer, Profile, QueueId,
};
pub use config::{Plugin, VmConfig, World};
pub use effect::{CallReply, Effect, GrpcCall, HttpCall};
pub use engine::{Engine, Module};
pub use machine::{Finished, Vm};
pub use observe::{Hostcall, Observer};
pub use shared::{Metric, MetricKind, Shared};
pub use stream::{HttpInfo, ListenerDirection, TcpInfo, Upstream};
pub use trap::{LoadError, StartError, Trap, TrapReason};

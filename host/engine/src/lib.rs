//! One proxy-wasm virtual machine: a guest module, its contexts and the host
//! functions it may call.
//!
//! Host functions validate guest memory, record an [`Effect`], return a status.
//! They touch no socket and never re-enter the guest. Whoever owns the [`Vm`]
//! calls it, then drains [`Vm::next_effect`] and carries out what it finds.
//!
//! ```
//! use std::sync::Arc;
//! use proxy_wasm_engine::{Action, Engine, Module, Plugin, Shared, TcpInfo, Vm, VmConfig};
//!
//! // A guest that holds every connection.
//! let guest = r#"(module
//!     (memory (export "memory") 1)
//!     (func (export "proxy_abi_version_0_2_1"))
//!     (func (export "malloc") (param i32) (result i32) (i32.const 1024))
//!     (func (export "proxy_on_new_connection") (param i32) (result i32) (i32.const 1)))"#;
//!
//! let module = Module::compile(&Engine::new()?, guest.as_bytes())?;
//! let plugin = Plugin { root_id: "holder".into(), ..Plugin::default() };
//! let config = VmConfig { plugins: vec![plugin], ..VmConfig::default() };
//! let no_clusters = Arc::new(|_: &str| false);
//! let mut vm = Vm::start(&module, &config, &Shared::new(), no_clusters)?;
//!
//! let root = vm.root("holder").expect("it was just configured");
//! let client = "10.0.0.7:40000".parse()?;
//! let connection = vm.open_tcp(root, TcpInfo::new(1, client, "10.0.0.1:443".parse()?))?;
//! assert_eq!(vm.new_connection(connection)?, Action::Pause);
//! while let Some(effect) = vm.next_effect() {
//!     println!("the guest wants {effect:?}");
//! }
//! vm.finish(connection)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod abi;
#[cfg(feature = "archive")]
mod archive;
mod calls;
mod config;
mod context;
mod effect;
mod engine;
mod filter_state;
#[cfg(fuzzing)]
pub mod fuzz;
mod gate;
mod guest;
mod hostcall;
mod http;
mod instance;
mod limits;
mod linker;
mod log;
mod log_line;
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
    AbiVersion, Action, Body, CallToken, ContextId, Direction, End, Headers, Peer, Profile, QueueId,
};
pub use config::{Plugin, VmConfig, World};
pub use effect::{CallReply, Effect, GrpcCall, HttpCall};
pub use engine::{Engine, Module};
pub use log_line::LogLine;
pub use machine::{Finished, Vm};
pub use observe::{Hostcall, Observer};
pub use shared::{Metric, MetricKind, Shared};
pub use stream::{HttpInfo, ListenerDirection, TcpInfo, Upstream};
pub use trap::{LoadError, StartError, Trap, TrapReason};

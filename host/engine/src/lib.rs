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
#[cfg(fuzzing)]
pub mod fuzz;
mod hostcall;
mod http;
mod instance;
mod limits;
mod linker;
mod log;
mod map_access;
mod memory;
#[cfg(feature = "module-cache")]
mod module_cache;
mod observe;
mod open_calls;
mod pairs;
mod policy;
mod property;
mod protobuf;
mod shared;
mod start;
mod state;
mod stream;
mod stream_info;
mod tcp;
mod trap;
mod vm;
mod wasi;

pub use abi::{
    AbiVersion, Action, Body, CallToken, ContextId, Direction, End, Headers, Peer, Profile, QueueId,
};
pub use config::{Environment, Plugin, VmConfig};
pub use effect::{CallReply, Effect, GrpcCall, HttpCall};
pub use engine::{Engine, Module};
pub use observe::{Hostcall, Observer};
pub use shared::{Metric, MetricKind, Shared};
pub use stream_info::{HttpInfo, ListenerDirection, TcpInfo, Upstream};
pub use trap::{LoadError, StartError, Trap, TrapReason};
pub use vm::{Finished, Vm};

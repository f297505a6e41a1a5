//! The filters of a worker: what runs in each VM, who owns it, and the chain
//! that connections pass.

pub(crate) mod backoff;
mod caller;
pub(crate) mod chain;
pub(crate) mod chain_state;
pub(crate) mod compiled_vm;
pub(crate) mod connection_info;
pub(crate) mod effects;
mod environment;
mod filter_slot;
mod grpc;
mod log;
pub(crate) mod modules;
pub(crate) mod rehearsal;
mod ticks;
mod vm_group;
pub(crate) mod vm_owner;

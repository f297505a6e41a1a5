//! The filters of a worker: what runs in each VM, who owns it, and the chain
//! that connections pass.

mod backoff;
pub(crate) mod chain;
pub(crate) mod chain_state;
pub(crate) mod compiled_vm;
pub(crate) mod rehearsal;
pub(crate) mod vm_owner;

//! The filters of a worker: what runs in each VM, who owns it, and the chain
//! that connections pass.

pub(crate) mod chain;
pub(crate) mod compiled_vm;
pub(crate) mod vm_owner;

//! What the VMs of a process share through the host's shared data.

pub mod board;
mod connection_counts;
mod lease;
pub(crate) mod member;
#[cfg(test)]
pub(crate) mod memory_store;
pub mod orders;
pub(crate) mod pace;
pub(crate) mod scope;
pub mod succession;
pub(crate) mod sync;

//! The host functions: what a guest may ask for, by family.
//!
//! Each checks what the guest hands over, notes what is to be done, and
//! answers; none touches a socket or calls back into the guest.

pub(super) mod buffer;
pub(super) mod context;
pub(super) mod data;
pub(super) mod foreign;
pub(super) mod grpc;
pub(super) mod http_call;
pub(super) mod map;
pub(super) mod metric;
pub(super) mod property;
pub(super) mod queue;
pub(super) mod root;
mod signature;
pub(super) mod stream;

//! Chains of network filters before a replica, with real sockets.

pub(crate) mod chain;
mod close;
mod failure;
mod grpc;
mod order;
mod pause;

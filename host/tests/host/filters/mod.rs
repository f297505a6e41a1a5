//! Chains of network filters before a replica, with real sockets.

pub(crate) mod chain;
mod failure;
mod grpc;
mod order;
mod pause;

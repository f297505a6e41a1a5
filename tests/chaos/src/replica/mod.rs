//! Stand-in replicas, each a process of its own: `chaos replica` starts one.

mod fault;
mod http;
mod listener;
mod process;
mod serve;

pub(crate) use fault::Fault;
pub(crate) use http::send_noise;
pub(crate) use process::{Ports, Replica, address};
pub(crate) use serve::{Serve, serve};

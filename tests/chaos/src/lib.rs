//! Faults of every kind under load, on `dtr-lb`, Envoy, HAProxy and NGINX.
//!
//! `chaos` starts stand-in replicas and one balancer before them, each a process of
//! its own, opens hundreds of new connections a second, makes one thing go wrong,
//! and counts what clients saw of it. Each pair of event and balancer is a *case*,
//! in a process and, where the system allows it, a network namespace of its own.

mod case;
mod command;
mod dns;
mod event;
mod load;
mod machine;
mod network;
mod process;
mod proxy;
mod replica;
mod report;
mod run;
mod stopped_thread;

pub use command::main;

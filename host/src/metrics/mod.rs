//! Counts, and their Prometheus text.

mod counters;
mod exposition;
mod filter_text;
mod histogram;
mod host_status;
mod process;
mod reason;
mod reloads;
mod text;
mod traffic;
mod worker_counters;

pub(crate) use counters::{Counters, OpenCount};
pub(crate) use filter_text::of_plan;
pub(crate) use host_status::HostStatus;
pub(crate) use reason::Reason;
pub(crate) use reloads::Reloads;
pub(crate) use text::{HostMetrics, render};
pub(crate) use traffic::{BytesIndex, ListenerIndex, ReplicaIndex, TrafficNames};
pub(crate) use worker_counters::WorkerCounters;

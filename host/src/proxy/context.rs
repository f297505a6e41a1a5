//! What the sessions of a worker and of a listener share.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::control::sessions::Sessions;
use crate::error::StartError;
use crate::filters::chain::Chain;
use crate::metrics::Counters;
use crate::net::pipe::Buffers;
use crate::plan::Plan;
use crate::proxy::shared_state::SharedState;
use crate::upstream::cluster::{Clusters, RoundRobin, Target};

/// What the sessions of one worker share.
pub(crate) struct WorkerContext {
    pub(crate) shared: Arc<SharedState>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) chain: Chain,
    pub(crate) sessions: Rc<Sessions>,
    pub(crate) buffers: Buffers,
    pub(crate) round_robin: RoundRobin,
    pub(super) next: Cell<u64>,
}

impl WorkerContext {
    /// A number no other connection of the process has.
    pub(crate) fn next_connection(&self) -> u64 {
        self.next.replace(self.next.get() + MOST_WORKERS)
    }
}

/// A listener as its sessions know it.
#[derive(Clone)]
pub(crate) struct ListenerContext {
    pub(crate) address: SocketAddr,
    pub(crate) fallback: Target,
    pub(crate) metadata: Arc<serde_json::Value>,
    pub(crate) idle_timeout: Option<Duration>,
}

pub(crate) fn listeners(
    plan: &Plan,
    clusters: &Clusters,
) -> Result<Vec<ListenerContext>, StartError> {
    plan.listeners
        .iter()
        .map(|listener| {
            let missing = || StartError::NoSuchName(listener.fallback.clone());
            Ok(ListenerContext {
                address: listener.bind,
                fallback: clusters.target(&listener.fallback).ok_or_else(missing)?,
                metadata: Arc::new(
                    json!({"filter_metadata": {"dtr": {"port": listener.port.to_string()}}}),
                ),
                idle_timeout: listener.idle_timeout,
            })
        })
        .collect()
}

/// More workers than a process ever has, reloads included.
const MOST_WORKERS: u64 = 1 << 20;

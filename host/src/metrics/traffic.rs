//! What connections do, by the listener they came to and the replica that serves them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::metrics::histogram::{Bounds, Histogram};
use proxy_wasm_engine::Direction;
use serde::Serialize;

/// The listeners and replicas of a plan: what traffic is counted by. A connection
/// knows them by their places, so that it looks up nothing.
#[derive(Debug, Default)]
pub(crate) struct TrafficNames {
    /// By the service's port, as the filter names them; sorted.
    listeners: Vec<u16>,
    /// Sorted.
    replicas: Vec<Arc<str>>,
}

/// The place of a listener among the names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListenerIndex(usize);

/// The place of a replica among the names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplicaIndex(usize);

impl TrafficNames {
    pub(crate) fn new<'a>(
        ports: impl IntoIterator<Item = u16>,
        replicas: impl IntoIterator<Item = &'a str>,
    ) -> TrafficNames {
        let ports: BTreeSet<u16> = ports.into_iter().collect();
        let replicas: BTreeSet<&str> = replicas.into_iter().collect();
        TrafficNames {
            listeners: ports.into_iter().collect(),
            replicas: replicas.into_iter().map(Arc::from).collect(),
        }
    }

    /// The place of a listener. For one that is not among the names nothing is counted.
    pub(crate) fn listener(&self, port: u16) -> ListenerIndex {
        let place = self.listeners.binary_search(&port);
        ListenerIndex(place.unwrap_or(usize::MAX))
    }

    /// The place of a replica. For one that is not among the names nothing is counted.
    pub(crate) fn replica(&self, name: &str) -> ReplicaIndex {
        let place = self.replicas.binary_search_by(|known| (**known).cmp(name));
        ReplicaIndex(place.unwrap_or(usize::MAX))
    }

    fn has(&self, (port, replica): (u16, &str)) -> bool {
        self.listener(port).0 != usize::MAX && self.replica(replica).0 != usize::MAX
    }

    fn pairs(&self) -> impl Iterator<Item = Pair> {
        let (listeners, replicas) = (&self.listeners, &self.replicas);
        listeners
            .iter()
            .flat_map(|listener| replicas.iter().map(|it| (*listener, Arc::clone(it))))
    }
}

/// What the connections of one worker do. Found by index, counted without a lock.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    names: Arc<TrafficNames>,
    /// By listener, then replica.
    bytes: Box<[Bytes]>,
    /// By replica.
    connects: Box<[Histogram]>,
}

/// Bytes forwarded. Its own cache lines, so that workers share none.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Bytes {
    to_replica: AtomicU64,
    to_client: AtomicU64,
}

/// Where the bytes of a connection are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BytesIndex(usize);

impl Traffic {
    pub(super) fn new(names: Arc<TrafficNames>) -> Traffic {
        Traffic {
            bytes: names.pairs().map(|_| Bytes::default()).collect(),
            connects: names
                .replicas
                .iter()
                .map(|_| Histogram::default())
                .collect(),
            names,
        }
    }

    /// A connection of this listener was connected to this replica after so long.
    pub(crate) fn connected(
        &self,
        ListenerIndex(listener): ListenerIndex,
        ReplicaIndex(replica): ReplicaIndex,
        took: Duration,
    ) -> BytesIndex {
        if let Some(connects) = self.connects.get(replica) {
            connects.count(&CONNECT_BOUNDS, took);
        }
        let first = listener.saturating_mul(self.names.replicas.len());
        BytesIndex(first.saturating_add(replica))
    }

    pub(crate) fn moved(&self, at: BytesIndex, direction: Direction, bytes: usize) {
        let Some(counts) = self.bytes.get(at.0) else {
            return;
        };
        let count = match direction {
            Direction::Downstream => &counts.to_replica,
            Direction::Upstream => &counts.to_client,
        };
        count.fetch_add(bytes as u64, Relaxed);
    }
}

/// The traffic of several workers, by name.
#[derive(Debug, Default)]
pub(super) struct TrafficTotals {
    pub(super) bytes: BTreeMap<Pair, BytesTotal>,
    pub(super) connects: BTreeMap<Arc<str>, Histogram>,
}

/// A listener and a replica.
pub(super) type Pair = (u16, Arc<str>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct BytesTotal {
    #[serde(rename = "bytes_to_replica")]
    pub(super) to_replica: u64,
    #[serde(rename = "bytes_to_client")]
    pub(super) to_client: u64,
}

impl BytesTotal {
    pub(super) fn add(&mut self, other: &BytesTotal) {
        self.to_replica += other.to_replica;
        self.to_client += other.to_client;
    }
}

impl TrafficTotals {
    pub(super) fn add(&mut self, traffic: &Traffic) {
        for (pair, bytes) in traffic.names.pairs().zip(&traffic.bytes) {
            let total = self.bytes.entry(pair).or_default();
            total.to_replica += bytes.to_replica.load(Relaxed);
            total.to_client += bytes.to_client.load(Relaxed);
        }
        for (replica, connects) in traffic.names.replicas.iter().zip(&traffic.connects) {
            let total = self.connects.entry(Arc::clone(replica)).or_default();
            total.add(connects);
        }
    }

    pub(super) fn add_totals(&mut self, others: &TrafficTotals) {
        for (pair, bytes) in &others.bytes {
            self.bytes.entry(pair.clone()).or_default().add(bytes);
        }
        for (replica, connects) in &others.connects {
            let total = self.connects.entry(Arc::clone(replica)).or_default();
            total.add(connects);
        }
    }

    /// Forgets what none of these workers' plans names.
    pub(super) fn keep_known<'a>(&mut self, workers: impl Iterator<Item = &'a Traffic>) {
        let plans: BTreeMap<_, _> = workers
            .map(|worker| (Arc::as_ptr(&worker.names), &worker.names))
            .collect();
        let is_known = |pair: (u16, &str)| plans.values().any(|names| names.has(pair));
        self.bytes
            .retain(|(port, replica), _| is_known((*port, replica)));
        let left: BTreeSet<_> = self
            .bytes
            .keys()
            .map(|(_, replica)| Arc::clone(replica))
            .collect();
        self.connects.retain(|replica, _| left.contains(replica));
    }
}

/// Within a machine room, over a slow line, and what a SYN costs that is sent again.
pub(super) const CONNECT_BOUNDS: Bounds = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000,
];

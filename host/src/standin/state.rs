//! What a replica's tasks share.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::condition::Condition;
use super::deviation::Deviation;

/// A health request a replica received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Path and query.
    pub path: String,
    /// The `Host` header.
    pub host: Option<String>,
    /// Over TLS: the name in the client's hello (SNI).
    pub sni: Option<String>,
    /// Whether it came over TLS or in the clear.
    pub scheme: &'static str,
}

/// All replicas of a registry, shared by all of them.
pub(super) type Members = Arc<Mutex<Vec<Arc<ReplicaState>>>>;

/// What a replica has begun, and how often it was asked for what others have.
#[derive(Default)]
pub(super) struct Uploads {
    pub(super) begun: Mutex<BTreeSet<String>>,
    pub(super) asked: AtomicUsize,
}

/// What a replica's tasks share.
pub(super) struct ReplicaState {
    pub(super) name: String,
    pub(super) condition: Mutex<Condition>,
    pub(super) deviation: Mutex<Deviation>,
    pub(super) pings: Mutex<VecDeque<Ping>>,
    pub(super) members: Members,
    pub(super) uploads: Uploads,
}

impl ReplicaState {
    /// A healthy replica; the caller adds it to the members.
    pub(super) fn new(name: &str, members: &Members) -> Self {
        Self {
            name: name.to_owned(),
            condition: Mutex::new(Condition::Healthy),
            deviation: Mutex::default(),
            pings: Mutex::default(),
            members: Arc::clone(members),
            uploads: Uploads::default(),
        }
    }

    pub(super) fn condition(&self) -> Condition {
        lock(&self.condition).clone()
    }

    pub(super) fn deviation(&self) -> Deviation {
        lock(&self.deviation).clone()
    }

    pub(super) fn record(&self, ping: Ping) {
        let mut pings = lock(&self.pings);
        if pings.len() == PINGS_KEPT {
            pings.pop_front();
        }
        pings.push_back(ping);
    }
}

/// Locks, also after a panic elsewhere: nothing behind these locks is ever half
/// written.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const PINGS_KEPT: usize = 1000;

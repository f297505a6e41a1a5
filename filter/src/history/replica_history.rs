//! What each replica has been through since the balancer started.

use crate::balance::order::Order;
use crate::balance::pool::Pool;
use crate::balance::replica::Replica;
use crate::health::prober::Prober;
use crate::health::verdict::Verdict;
use crate::health::watch::Watch;
use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// What a replica has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplicaHistory {
    /// The most connections that were open at once.
    pub(crate) most_active: u32,
    /// How long it failed its checks, all in all. Maintenance does not count: nothing is
    /// asked then.
    pub(crate) down_ms: u64,
}

/// Kept by the VM that probes, and left on the board for the others: each replica's key
/// and history, in the order of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    of: Vec<(u64, ReplicaHistory)>,
    /// When it was looked last, while this VM is the one that does.
    looked: Option<Moment>,
}

impl Histories {
    /// Goes on with these replicas; one that is there no longer is forgotten.
    pub(crate) fn configure(&mut self, pool: &Pool) {
        let replicas = pool.ring().iter().filter_map(|id| pool.get(*id));
        let new = replicas.map(|replica| (replica.key, ReplicaHistory::default()));
        let known = std::mem::replace(&mut self.of, new.collect());
        self.learn(&known);
    }

    /// Takes in how things are, as they have been since the last look.
    pub(crate) fn look(&mut self, pool: &Pool, prober: &Prober, now: Moment) {
        let before = self.looked.replace(now);
        let elapsed_ms = before.map_or(0, |before| now.since(before).as_millis() as u64);
        for (id, (_, history)) in pool.ring().iter().zip(&mut self.of) {
            if let Some(replica) = pool.get(*id) {
                history.most_active = history.most_active.max(replica.most_active);
            }
        }
        // A replica's stand side by side.
        for watches in prober.watches().chunk_by(|a, b| a.replica == b.replica) {
            let id = watches.first().map(|watch| watch.replica);
            if let Some(replica) = id.and_then(|id| pool.get(id))
                && replica.order() != Order::Maintenance
                && watches.iter().any(fails)
                && let Some(history) = self.of_mut(replica)
            {
                history.down_ms = history.down_ms.saturating_add(elapsed_ms);
            }
        }
    }

    /// Another VM looks from now on: the time until this one does again is not its to
    /// count.
    pub(crate) fn stop(&mut self) {
        self.looked = None;
    }

    /// Takes in what the VM that looks has left.
    pub(crate) fn learn(&mut self, left: &[(u64, ReplicaHistory)]) {
        for (place, (key, history)) in self.of.iter_mut().enumerate() {
            let is_its = |it: &&(u64, ReplicaHistory)| it.0 == *key;
            // Nearly always in the same place: other VMs have the same configuration.
            let found = left.get(place).filter(is_its);
            if let Some((_, left)) = found.or_else(|| left.iter().find(is_its)) {
                *history = *left;
            }
        }
    }

    /// For the other VMs.
    pub(crate) fn all(&self) -> &[(u64, ReplicaHistory)] {
        &self.of
    }

    /// Of one replica.
    pub(crate) fn of(&self, replica: &Replica) -> ReplicaHistory {
        let found = replica.position.and_then(|place| self.of.get(place));
        found.map(|(_, history)| *history).unwrap_or_default()
    }

    fn of_mut(&mut self, replica: &Replica) -> Option<&mut ReplicaHistory> {
        let (_, history) = self.of.get_mut(replica.position?)?;
        Some(history)
    }
}

/// Whether a replica is known to fail a check.
fn fails(watch: &Watch) -> bool {
    let health = &watch.state.health;
    health.settled && health.verdict == Verdict::Unhealthy
}

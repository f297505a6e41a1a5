//! Each replica's connections, counted: by this VM, and by the others.

use super::replica::ReplicaId;
use super::tally::Tally;

/// What was counted of each replica's connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplicaCounts {
    /// By replica's number.
    counts: Vec<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// What this VM counted.
    here: Tally,
    /// What the other VMs counted, as of their last heartbeat.
    elsewhere: Tally,
}

impl ReplicaCounts {
    pub(super) fn opened(&mut self, id: ReplicaId) {
        self.count(id, |here| here.active = here.active.saturating_add(1));
    }

    pub(super) fn closed(&mut self, id: Option<ReplicaId>) {
        if let Some(id) = id {
            self.count(id, |here| here.active = here.active.saturating_sub(1));
        }
    }

    pub(super) fn connected(&mut self, id: ReplicaId) {
        self.count(id, |here| {
            here.connections = here.connections.saturating_add(1);
        });
    }

    pub(super) fn failed(&mut self, id: Option<ReplicaId>) {
        if let Some(id) = id {
            self.count(id, |here| here.failures = here.failures.saturating_add(1));
        }
    }

    pub(super) fn unserved(&mut self, id: ReplicaId) {
        self.count(id, |here| {
            here.unserved = here.unserved.saturating_add(1);
        });
    }

    /// Takes in what the other VMs counted of a replica; what it was before.
    pub(super) fn set_elsewhere(&mut self, id: ReplicaId, tally: Tally) -> Tally {
        let counts = self.of_mut(id);
        counts.map_or(tally, |counts| {
            std::mem::replace(&mut counts.elsewhere, tally)
        })
    }

    /// What this VM counted of a replica.
    pub(crate) fn here(&self, id: ReplicaId) -> Tally {
        self.of(id).here
    }

    /// What all VMs counted of a replica, as far as this one knows.
    pub(crate) fn everywhere(&self, id: ReplicaId) -> Tally {
        let counts = self.of(id);
        let mut sum = counts.here;
        sum.add(&counts.elsewhere);
        sum
    }

    fn count(&mut self, id: ReplicaId, change: impl FnOnce(&mut Tally)) {
        if let Some(counts) = self.of_mut(id) {
            change(&mut counts.here);
        }
    }

    fn of(&self, id: ReplicaId) -> Counts {
        self.counts.get(id.index()).copied().unwrap_or_default()
    }

    /// Never `None`: numbers of replicas are small, so there is room for each.
    fn of_mut(&mut self, id: ReplicaId) -> Option<&mut Counts> {
        let index = id.index();
        if self.counts.len() <= index {
            self.counts
                .resize(index.saturating_add(1), Counts::default());
        }
        self.counts.get_mut(index)
    }
}

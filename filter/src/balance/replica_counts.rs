//! Each replica's connections, counted: by this VM, and by the others.

use super::pool::Pool;
use super::replica::ReplicaId;
use super::tally::Tally;
use crate::shared::member::Others;
use std::collections::HashMap;

/// What was counted of each replica's connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplicaCounts {
    /// By replica's number.
    counts: Vec<Counts>,
    /// What the other VMs counted when it was last taken in, by replica's key; `None`:
    /// not yet, or not for the replicas of this configuration.
    learned: Option<HashMap<u64, Tally>>,
}

/// What the other VMs have counted of a replica since the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Learned {
    pub(crate) replica: ReplicaId,
    /// The replica, if its number of open connections changed.
    pub(crate) changed: Option<ReplicaId>,
    /// Connections that failed.
    pub(crate) failures: u64,
    /// Connections that it ended before its first byte.
    pub(crate) unserved: u64,
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

    /// Takes in what the other VMs counted, by replica's key: what is new.
    pub(crate) fn learn(
        &mut self,
        pool: &Pool,
        tallies: HashMap<u64, Tally>,
        others: Others,
    ) -> Vec<Learned> {
        if self.learned.as_ref() == Some(&tallies) {
            return Vec::new();
        }
        let learned = pool.replicas().filter_map(|(replica, it)| {
            let tally = tallies.get(&it.key).copied().unwrap_or_default();
            let before = std::mem::replace(&mut self.of_mut(replica)?.elsewhere, tally);
            let (failures, unserved) = match others {
                Others::Known => (
                    tally.failures.saturating_sub(before.failures),
                    tally.unserved.saturating_sub(before.unserved),
                ),
                Others::Unknown => (0, 0),
            };
            Some(Learned {
                replica,
                changed: (before.active != tally.active).then_some(replica),
                failures,
                unserved,
            })
        });
        let learned = learned.collect();
        self.learned = Some(tallies);
        learned
    }

    /// The replicas are those of another configuration: what the other VMs counted is to
    /// be taken in anew.
    pub(crate) fn forget_learned(&mut self) {
        self.learned = None;
    }

    /// What this VM counted, by replica's key.
    pub(crate) fn by_key(&self, pool: &Pool) -> Vec<(u64, Tally)> {
        let counted = pool
            .replicas()
            .map(|(id, replica)| (replica.key, self.here(id)));
        counted
            .filter(|(_, here)| *here != Tally::default())
            .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::pool::Pool;
    use crate::sample;

    const R3: ReplicaId = ReplicaId(2);

    /// What the other VMs have counted of the third replica, or of none.
    fn elsewhere(pool: &Pool, active: u32, failures: u64, unserved: u64) -> HashMap<u64, Tally> {
        let tally = Tally {
            active,
            connections: 9,
            failures,
            unserved,
        };
        HashMap::from([(pool.get(R3).unwrap().key, tally)])
    }

    #[test]
    fn the_other_vms_counts_are_added_and_what_is_new_of_them_is_known() {
        let pool = Pool::new(&sample::config(3), 1);
        let mut counts = ReplicaCounts::default();
        counts.opened(R3);
        let mut learn = |others, active, failures, unserved| {
            let learned = counts.learn(&pool, elsewhere(&pool, active, failures, unserved), others);
            let of_r3 = learned.into_iter().find(|it| it.replica == R3);
            let news = of_r3.map(|it| (it.changed, it.failures, it.unserved));
            (counts.everywhere(R3).active, news)
        };
        let first = learn(Others::Unknown, 4, 1, 2);
        assert_eq!(first, (5, Some((Some(R3), 0, 0))), "failures of long ago");
        let same = learn(Others::Known, 4, 1, 2);
        assert_eq!(same, (5, None), "nothing is new");
        let more = learn(Others::Known, 4, 3, 5);
        assert_eq!(more, (5, Some((None, 2, 3))));
        let fewer = learn(Others::Known, 0, 0, 0);
        assert_eq!(fewer, (1, Some((Some(R3), 0, 0))), "a VM has ended");
        assert_eq!(
            counts.by_key(&pool),
            [(pool.get(R3).unwrap().key, counts.here(R3))]
        );
    }

    #[test]
    fn another_configuration_takes_in_the_same_counts_anew() {
        let few = Pool::new(&sample::config(2), 1);
        let all = Pool::new(&sample::config(3), 1);
        let mut counts = ReplicaCounts::default();
        let tallies = || elsewhere(&all, 4, 0, 0);
        assert_eq!(counts.learn(&few, tallies(), Others::Known).len(), 2);
        counts.forget_learned();
        counts.learn(&all, tallies(), Others::Known);
        assert_eq!(counts.everywhere(R3).active, 4);
    }
}

//! The lease: one VM of a process probes for all.

use crate::shared::board::{self, LEASE, Store};
use crate::time::Moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one VM knows of the lease.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    vm_id: u64,
    seen: Entry,
    seen_at: Moment,
    holder: Holder,
    /// Since when this VM knows the holder as such.
    since: Moment,
}

/// Who holds the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// This VM.
    Me,
    /// Another one, or none.
    NotMe,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    owner: u64,
    beat: u64,
}

impl Lease {
    pub(crate) fn new(vm_id: u64, now: Moment) -> Lease {
        let holder = Holder::NotMe;
        Lease {
            vm_id,
            seen: Entry::default(),
            seen_at: now,
            holder,
            since: now,
        }
    }

    pub(crate) fn is_mine(&self) -> bool {
        self.holder == Holder::Me
    }

    /// When the holder was last seen to renew it.
    pub(crate) fn seen_at(&self) -> Moment {
        self.seen_at
    }

    /// Since when this VM knows the holder as such.
    pub(crate) fn since(&self) -> Moment {
        self.since
    }

    /// Renews the lease when it is ours, takes it when its holder has not
    /// renewed it for `ttl`; whose it is then.
    pub(crate) fn renew(&mut self, store: &mut impl Store, now: Moment, ttl: Duration) -> Holder {
        let (entry, cas) = board::read::<Entry>(store, LEASE);
        self.holder = match entry {
            Some(entry) if entry.owner != self.vm_id && entry.owner != VACANT => {
                if entry != self.seen {
                    self.see(entry, now);
                }
                match now.since(self.seen_at) >= ttl {
                    true => self.write(store, entry.beat, cas, now),
                    false => Holder::NotMe,
                }
            }
            Some(entry) => self.write(store, entry.beat, cas, now),
            None => self.write(store, 0, cas, now),
        };
        self.holder
    }

    /// Whose the lease is: another VM may have taken it since the last renewal.
    pub(crate) fn look(&mut self, store: &mut impl Store, now: Moment) -> Holder {
        if self.is_mine()
            && let (Some(entry), _) = board::read::<Entry>(store, LEASE)
            && entry.owner != self.vm_id
        {
            self.see(entry, now);
            self.holder = Holder::NotMe;
        }
        self.holder
    }

    /// Gives the lease up, when it is ours: the next to look may have it at once.
    pub(crate) fn resign(&mut self, store: &mut impl Store) {
        let (entry, cas) = board::read::<Entry>(store, LEASE);
        if let Some(entry) = entry.filter(|entry| entry.owner == self.vm_id) {
            let given_up = Entry {
                owner: VACANT,
                ..entry
            };
            // Lost to a VM that took this one for ended: it has the lease already.
            let _ = board::write(store, LEASE, &given_up, cas);
        }
        self.holder = Holder::NotMe;
    }

    fn write(&mut self, store: &mut impl Store, beat: u64, cas: u32, now: Moment) -> Holder {
        let entry = Entry {
            owner: self.vm_id,
            beat: beat.wrapping_add(1),
        };
        match board::write(store, LEASE, &entry, cas) {
            Ok(()) => {
                self.see(entry, now);
                Holder::Me
            }
            // Another VM was faster.
            Err(board::Lost) => Holder::NotMe,
        }
    }

    fn see(&mut self, entry: Entry, now: Moment) {
        if entry.owner != self.seen.owner {
            self.since = now;
        }
        self.seen = entry;
        self.seen_at = now;
    }
}

/// The owner of a lease that was given up; no VM has this number.
const VACANT: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::memory_store::MemoryStore;

    const TTL: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Moment {
        Moment::at(Duration::from_millis(ms))
    }

    #[test]
    fn one_vm_holds_the_lease_until_it_stops_renewing() {
        let mut store = MemoryStore::default();
        let (mut one, mut two) = (Lease::new(1, at(0)), Lease::new(2, at(0)));
        let cases = [
            ("the first to look has it", 1, 0, Holder::Me),
            ("the second does not", 2, 0, Holder::NotMe),
            ("it is renewed", 1, 900, Holder::Me),
            ("so it is not free", 2, 1100, Holder::NotMe),
            (
                "until the holder has been silent for the ttl",
                2,
                2100,
                Holder::Me,
            ),
            ("then the first has lost it", 1, 2200, Holder::NotMe),
        ];
        for (why, vm, ms, expected) in cases {
            let lease = if vm == 1 { &mut one } else { &mut two };
            assert_eq!(lease.renew(&mut store, at(ms), TTL), expected, "{why}");
            assert_eq!(lease.is_mine(), expected == Holder::Me, "{why}");
        }
        assert_eq!(
            one.since(),
            at(2200),
            "since when it knows the other as holder"
        );
    }

    #[test]
    fn a_holder_sees_that_another_has_taken_the_lease() {
        let mut store = MemoryStore::default();
        let (mut one, mut two) = (Lease::new(1, at(0)), Lease::new(2, at(0)));
        one.renew(&mut store, at(0), TTL);
        two.renew(&mut store, at(0), TTL);
        assert_eq!(one.look(&mut store, at(999)), Holder::Me);
        assert_eq!(two.look(&mut store, at(1000)), Holder::NotMe, "only a look");
        two.renew(&mut store, at(1000), TTL);
        assert_eq!(one.look(&mut store, at(1001)), Holder::NotMe);
        assert_eq!(one.since(), at(1001));
    }

    #[test]
    fn a_lease_given_up_is_free_at_once() {
        let mut store = MemoryStore::default();
        let (mut one, mut two) = (Lease::new(1, at(0)), Lease::new(2, at(0)));
        one.renew(&mut store, at(0), TTL);
        two.resign(&mut store);
        assert_eq!(
            two.renew(&mut store, at(10), TTL),
            Holder::NotMe,
            "not by another"
        );
        one.resign(&mut store);
        assert!(!one.is_mine());
        assert_eq!(two.renew(&mut store, at(20), TTL), Holder::Me);
    }
}

//! The lease: one VM of a process probes for all.

use crate::shared::board::{self, LEASE, Store};
use crate::time::Moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one VM knows of the lease.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    me: u64,
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
    pub(crate) fn new(me: u64, now: Moment) -> Lease {
        let holder = Holder::NotMe;
        Lease {
            me,
            seen: Entry::default(),
            seen_at: now,
            holder,
            since: now,
        }
    }

    pub(crate) fn is_mine(&self) -> bool {
        self.holder == Holder::Me
    }

    /// When the holder's last sign of life was seen.
    pub(crate) fn seen_at(&self) -> Moment {
        self.seen_at
    }

    /// Since when this VM knows the holder as such.
    pub(crate) fn since(&self) -> Moment {
        self.since
    }

    /// Renews the lease when it is ours, takes it when its holder gave no sign of
    /// life for `ttl`; whose it is then.
    pub(crate) fn renew(&mut self, store: &mut impl Store, now: Moment, ttl: Duration) -> Holder {
        let (entry, cas) = board::read::<Entry>(store, LEASE);
        self.holder = match entry {
            Some(entry) if entry.owner != self.me && entry.owner != NOBODY => {
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

    /// Gives the lease up, when it is ours: the next to look may have it at once.
    pub(crate) fn resign(&mut self, store: &mut impl Store) {
        let (entry, cas) = board::read::<Entry>(store, LEASE);
        if let Some(entry) = entry.filter(|entry| entry.owner == self.me) {
            let vacant = Entry {
                owner: NOBODY,
                ..entry
            };
            // Lost to a VM that took this one for dead: it has the lease already.
            let _ = board::write(store, LEASE, &vacant, cas);
        }
        self.holder = Holder::NotMe;
    }

    fn write(&mut self, store: &mut impl Store, beat: u64, cas: u32, now: Moment) -> Holder {
        let entry = Entry {
            owner: self.me,
            beat: beat.wrapping_add(1),
        };
        match board::write(store, LEASE, &entry, cas) {
            Ok(()) => {
                self.see(entry, now);
                Holder::Me
            }
            // Somebody else was faster: whoever it is, it is not this VM.
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
const NOBODY: u64 = 0;

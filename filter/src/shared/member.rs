//! A VM as one of several of its process.

use super::board::{self, Lost, Store, VM_IDS};
use super::connection_counts::ConnectionCounts;
use super::lease::Lease;
use crate::random::{self, Random};
use crate::time::Moment;

/// What a VM is to the others, once it has met them.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) lease: Lease,
    pub(crate) counts: ConnectionCounts,
    pub(crate) others: Others,
}

/// Whether the other VMs' counts were read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// No: what they count may have happened long ago.
    Unknown,
    /// Yes: what was added is news.
    Known,
}

impl Member {
    /// Takes an id that no other VM of the process has, and has this VM's random
    /// choices differ from theirs by it.
    pub(crate) fn join(store: &mut impl Store, random: &mut Random, now: Moment) -> Member {
        let id = board::update(store, VM_IDS, |ids: &mut u64| {
            *ids = ids.wrapping_add(1);
            *ids
        });
        // Without one a random number has to do; never 0, which no VM has.
        let vm_id = id.unwrap_or_else(|Lost| random.bits() | 1);
        *random = Random::seeded(random.bits() ^ random::mix(vm_id));
        Member {
            lease: Lease::new(vm_id, now),
            counts: ConnectionCounts::new(vm_id),
            others: Others::Unknown,
        }
    }
}

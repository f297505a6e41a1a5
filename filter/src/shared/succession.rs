//! What of the board goes over to another process that takes this one's place.

use super::board::{CLIENT_VMS, CLIENTS, COUNTS, LEASE, VM_IDS};

/// When the VMs of the next process find what a key has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// When they start, and once more what it has when they are to serve.
    Whole,
    /// When they start: it is about the VMs themselves, their numbers, who probes, and what
    /// each has open, and they must be no VM that was there before. Once they have joined,
    /// it is theirs.
    AtStart,
    /// Never: what clients have open stays with the process before, which nobody would hear
    /// of when it ends. A client that has nothing open any more would be refused.
    Never,
}

/// When a key's value is handed over.
#[must_use]
pub fn handover(key: &str) -> Handover {
    match general(key) {
        VM_IDS | LEASE | COUNTS => Handover::AtStart,
        CLIENT_VMS => Handover::Never,
        key if key.starts_with(CLIENTS) => Handover::Never,
        _ => Handover::Whole,
    }
}

/// Whether a key is the lease. Any value that is none gives it up: the next VM to look
/// has it at once.
#[must_use]
pub fn is_lease(key: &str) -> bool {
    general(key) == LEASE
}

/// The key without its service: see [`shared_key`](crate::contract::shared_key).
fn general(key: &str) -> &str {
    key.split_once('@').map_or(key, |(general, _)| general)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::shared_key;
    use crate::shared::board::Store;
    use crate::shared::lease::{Holder, Lease};
    use crate::shared::memory_store::MemoryStore;
    use crate::time::Moment;
    use std::time::Duration;

    #[test]
    fn each_key_of_the_board_is_told_apart_for_each_service() {
        use Handover::{AtStart, Never, Whole};
        let cases = [
            ("dtr.seats", AtStart, false),
            ("dtr.lease", AtStart, true),
            ("dtr.verdicts", Whole, false),
            ("dtr.details", Whole, false),
            ("dtr.observations", Whole, false),
            ("dtr.outages", Whole, false),
            ("dtr.histories", Whole, false),
            ("dtr.events", Whole, false),
            ("dtr.counts", AtStart, false),
            ("dtr.client_vms", Never, false),
            ("dtr.clients.N", Never, false),
            ("dtr.orders", Whole, false),
            ("dtr.cluster_status", Whole, false),
        ];
        let known: Vec<&str> = cases.iter().map(|(key, ..)| *key).collect();
        assert_eq!(known, keys_of_the_board(), "the board has others");
        for (key, handed_over, lease) in cases {
            for service in [None, Some("quay")] {
                let key = shared_key(key, service);
                assert_eq!(handover(&key), handed_over, "{key}");
                assert_eq!(is_lease(&key), lease, "{key}");
            }
        }
    }

    /// Those of the table in its documentation.
    fn keys_of_the_board() -> Vec<&'static str> {
        let lines = include_str!("board.rs").lines();
        let rows = lines.filter_map(|line| line.strip_prefix("//! | `"));
        rows.filter_map(|row| row.split_once('`'))
            .map(|(key, _)| key)
            .collect()
    }

    #[test]
    fn a_lease_without_a_value_is_free_at_once() {
        let mut store = MemoryStore::default();
        let ttl = Duration::from_secs(1);
        Lease::new(1, Moment::START).renew(&mut store, Moment::START, ttl);
        let mut next = Lease::new(2, Moment::START);
        assert_eq!(next.renew(&mut store, Moment::START, ttl), Holder::NotMe);
        assert!(store.write(LEASE, &[], None).is_ok());
        assert_eq!(next.renew(&mut store, Moment::START, ttl), Holder::Me);
    }
}

//! What of the board goes over to another process that takes this one's place.

use super::board::{CLIENT_VMS, CLIENTS, COUNTS, LEASE, VM_IDS};

/// Whether a key is about the VMs themselves: their numbers, who probes, and what each
/// has open, by replica and by client. The VMs of the next process must find it when they
/// join, so as to be no VM that was there before; once they have joined, it is theirs.
#[must_use]
pub fn is_about_vms(key: &str) -> bool {
    let key = general(key);
    [VM_IDS, LEASE, COUNTS, CLIENT_VMS].contains(&key) || key.starts_with(CLIENTS)
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
        let cases = [
            ("dtr.seats", true, false),
            ("dtr.lease", true, true),
            ("dtr.verdicts", false, false),
            ("dtr.details", false, false),
            ("dtr.observations", false, false),
            ("dtr.outages", false, false),
            ("dtr.histories", false, false),
            ("dtr.events", false, false),
            ("dtr.counts", true, false),
            ("dtr.client_vms", true, false),
            ("dtr.clients.N", true, false),
            ("dtr.orders", false, false),
            ("dtr.cluster_status", false, false),
        ];
        let known: Vec<&str> = cases.iter().map(|(key, ..)| *key).collect();
        assert_eq!(known, keys_of_the_board(), "the board has others");
        for (key, about_vms, lease) in cases {
            for service in [None, Some("quay")] {
                let key = shared_key(key, service);
                assert_eq!(is_about_vms(&key), about_vms, "{key}");
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

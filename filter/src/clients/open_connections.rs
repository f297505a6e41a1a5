//! Each client's open connections, counted over all VMs of a process.
//!
//! Clients are spread over a fixed number of places on the board. At each there is a row for
//! each VM and client that has a connection open, and none for others: so there are never
//! more rows than open connections, however many addresses somebody connects from.

use super::client_key::ClientKey;
use super::vms::{Standing, Vms};
use crate::balance::stream::StreamId;
use crate::shared::board::{self, CLIENTS, Store};
use crate::time::Moment;
use std::collections::{HashMap, HashSet};

/// Each client's open connections.
#[derive(Debug, Default)]
pub(super) struct OpenConnections {
    streams: HashMap<StreamId, ClientKey>,
    /// Of this VM.
    here: HashMap<ClientKey, u32>,
    /// Clients whose rows could not be written.
    unwritten: HashSet<ClientKey>,
    vms: Vms,
}

/// A VM, a client, and how many connections are open.
type Row = (u64, ClientKey, u32);

/// Whether there is room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Taken,
    None,
}

impl OpenConnections {
    /// Counts one more of a client that may have `most`, if there is room. While others are
    /// faster again and again it is counted here alone, and for the others a little later.
    pub(super) fn open(
        &mut self,
        store: &mut impl Store,
        stream: StreamId,
        key: ClientKey,
        most: u32,
        now: Moment,
    ) -> Room {
        // A host that uses a number twice forgot to say that the first is over.
        self.close(store, stream);
        if self.vms.own().is_none() {
            self.beat(store, now);
        }
        for _ in 0..TRIES {
            let (mut rows, cas) = self.rows(store, key);
            let others = rows.iter().filter(|(_, client, _)| *client == key);
            let elsewhere: u32 = others
                .map(|(_, _, open)| *open)
                .fold(0, u32::saturating_add);
            let all = elsewhere.saturating_add(self.count(key));
            if all >= most {
                return Room::None;
            }
            self.add_own(&mut rows, key, self.count(key).saturating_add(1));
            if board::write(store, &place(key), &rows, cas).is_ok() {
                self.count_open(stream, key);
                return Room::Taken;
            }
        }
        self.count_open(stream, key);
        self.unwritten.insert(key);
        Room::Taken
    }

    /// A connection is open since before this VM.
    pub(super) fn adopt(&mut self, store: &mut impl Store, stream: StreamId, key: ClientKey) {
        self.close(store, stream);
        self.count_open(stream, key);
        self.write(store, key);
    }

    /// A connection is over. One that was not counted changes nothing.
    pub(super) fn close(&mut self, store: &mut impl Store, stream: StreamId) {
        // Where nothing is counted, nothing is looked up either.
        let counted = match self.streams.is_empty() {
            true => None,
            false => self.streams.remove(&stream),
        };
        let Some(key) = counted else {
            return;
        };
        match self.count(key).saturating_sub(1) {
            0 => self.here.remove(&key),
            left => self.here.insert(key, left),
        };
        self.write(store, key);
    }

    /// Has the others know that this VM is there, and what they do not know yet.
    pub(super) fn tick(&mut self, store: &mut impl Store, now: Moment) {
        if self.vms.is_due(now) {
            self.beat(store, now);
        }
        for key in std::mem::take(&mut self.unwritten) {
            self.write(store, key);
        }
    }

    /// Whether nothing is open here that others know of, nor any change unknown to them.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.is_empty() && self.unwritten.is_empty()
    }

    fn beat(&mut self, store: &mut impl Store, now: Moment) {
        if self.vms.beat(store, now) == Standing::TakenForEnded {
            self.unwritten.extend(self.here.keys());
        }
    }

    fn count(&self, key: ClientKey) -> u32 {
        self.here.get(&key).copied().unwrap_or_default()
    }

    fn count_open(&mut self, stream: StreamId, key: ClientKey) {
        self.streams.insert(stream, key);
        let open = self.here.entry(key).or_default();
        *open = open.saturating_add(1);
    }

    fn write(&mut self, store: &mut impl Store, key: ClientKey) {
        // Before it has met the others it has no row.
        let tries = self.vms.own().map_or(0, |_| TRIES);
        for _ in 0..tries {
            let (mut rows, cas) = self.rows(store, key);
            self.add_own(&mut rows, key, self.count(key));
            if board::write(store, &place(key), &rows, cas).is_ok() {
                return;
            }
        }
        self.unwritten.insert(key);
    }

    /// What others have counted where a client is, and what this VM has of other clients.
    fn rows(&self, store: &mut impl Store, key: ClientKey) -> (Vec<Row>, u32) {
        let (rows, cas) = board::read(store, &place(key));
        let mut rows: Vec<Row> = rows.unwrap_or_default();
        rows.retain(|(vm, client, _)| match Some(*vm) == self.vms.own() {
            true => *client != key,
            false => self.vms.is_there(*vm),
        });
        (rows, cas)
    }

    fn add_own(&self, rows: &mut Vec<Row>, key: ClientKey, open: u32) {
        if let Some(own) = self.vms.own().filter(|_| open > 0) {
            rows.push((own, key, open));
        }
    }
}

fn place(key: ClientKey) -> String {
    format!("{CLIENTS}{}", key.place(PLACES))
}

/// Enough that each place has few clients even where there are very many.
const PLACES: u64 = 4096;
/// How often a change is tried again when others were faster.
const TRIES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::board::CLIENT_VMS;
    use crate::shared::memory_store::MemoryStore;
    use std::net::IpAddr;
    use std::time::Duration;

    const NOW: Moment = Moment::START;

    fn client(last: u8) -> ClientKey {
        ClientKey::of(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn a_client_has_no_more_than_its_limit_over_all_vms() {
        let mut store = MemoryStore::default();
        let mut vms = [OpenConnections::default(), OpenConnections::default()];
        let mut open =
            |vm: usize, stream, key| vms[vm].open(&mut store, StreamId(stream), key, 3, NOW);
        assert_eq!(open(0, 1, client(1)), Room::Taken);
        assert_eq!(open(1, 1, client(1)), Room::Taken);
        assert_eq!(open(0, 2, client(1)), Room::Taken);
        assert_eq!(open(0, 3, client(1)), Room::None);
        assert_eq!(open(1, 3, client(1)), Room::None);
        assert_eq!(open(1, 4, client(2)), Room::Taken, "another client");
        vms[0].close(&mut store, StreamId(2));
        vms[0].close(&mut store, StreamId(2));
        assert_eq!(
            vms[1].open(&mut store, StreamId(5), client(1), 3, NOW),
            Room::Taken
        );
        assert_eq!(
            vms[0].open(&mut store, StreamId(6), client(1), 3, NOW),
            Room::None
        );
    }

    #[test]
    fn what_an_ended_vm_has_counted_is_void_after_a_while() {
        let mut store = MemoryStore::default();
        let mut ended = OpenConnections::default();
        let mut left = OpenConnections::default();
        assert_eq!(
            ended.open(&mut store, StreamId(1), client(1), 1, NOW),
            Room::Taken
        );
        let mut at = NOW;
        left.tick(&mut store, at);
        assert_eq!(
            left.open(&mut store, StreamId(1), client(1), 1, at),
            Room::None
        );
        for _ in 0..10 {
            at = at.plus(Duration::from_secs(1));
            left.tick(&mut store, at);
        }
        assert_eq!(
            left.open(&mut store, StreamId(1), client(1), 1, at),
            Room::Taken
        );
        // It only stood still.
        ended.tick(&mut store, at);
        left.close(&mut store, StreamId(1));
        left.tick(&mut store, at.plus(Duration::from_secs(1)));
        assert_eq!(
            left.open(&mut store, StreamId(2), client(1), 1, at),
            Room::None
        );
    }

    #[test]
    fn a_vm_that_is_new_counts_before_the_others_know_of_it() {
        let mut store = MemoryStore::default();
        let mut old = OpenConnections::default();
        old.tick(&mut store, NOW);
        let mut new = OpenConnections::default();
        new.adopt(&mut store, StreamId(1), client(7));
        new.tick(&mut store, NOW);
        assert_eq!(
            old.open(&mut store, StreamId(1), client(7), 1, NOW),
            Room::None
        );
    }

    #[test]
    fn vms_whose_list_is_overwritten_count_on() {
        let mut store = MemoryStore::default();
        OpenConnections::default().tick(&mut store, NOW);
        let before = store.read(CLIENT_VMS).unwrap().value;
        let mut vms = [OpenConnections::default(), OpenConnections::default()];
        for _ in 0..2 {
            vms.iter_mut().for_each(|vm| vm.beat(&mut store, NOW));
        }
        let key = client(1);
        assert_eq!(
            vms[0].open(&mut store, StreamId(1), key, 3, NOW),
            Room::Taken
        );
        assert_eq!(store.write(CLIENT_VMS, &before, None), Ok(()));
        // It is given the number of the first.
        let mut new = OpenConnections::default();
        assert_eq!(new.open(&mut store, StreamId(1), key, 3, NOW), Room::Taken);
        for vm in vms.iter_mut().chain([&mut new]) {
            vm.tick(&mut store, NOW.plus(Duration::from_secs(1)));
        }
        let numbers = [&vms[0], &vms[1], &new].map(|vm| vm.vms.own());
        let distinct: HashSet<_> = numbers.iter().collect();
        assert_eq!(distinct.len(), 3, "{numbers:?}");
        assert_eq!(
            vms[1].open(&mut store, StreamId(1), key, 3, NOW),
            Room::Taken
        );
        for vm in vms.iter_mut().chain([&mut new]) {
            let room = vm.open(&mut store, StreamId(2), key, 3, NOW);
            assert_eq!(room, Room::None, "VM {:?}", vm.vms.own());
        }
    }

    #[test]
    fn what_is_kept_is_no_more_than_what_is_open() {
        let mut store = MemoryStore::default();
        let mut open = OpenConnections::default();
        for last in 0..=255 {
            let stream = StreamId(u32::from(last));
            assert_eq!(
                open.open(&mut store, stream, client(last), 1, NOW),
                Room::Taken
            );
            open.close(&mut store, stream);
        }
        assert!(open.is_idle() && open.here.is_empty());
        for last in 0..=255 {
            let (rows, _) = board::read::<Vec<Row>>(&mut store, &place(client(last)));
            assert_eq!(rows, Some(Vec::new()), "{last}");
        }
    }
}

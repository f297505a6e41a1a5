//! The board: what the VMs of a process share through the host.
//!
//! | key | what | written by |
//! |---|---|---|
//! | `dtr.seats` | how many VMs there have been | each VM, once |
//! | `dtr.lease` | who probes, and its heartbeat | the holder |
//! | `dtr.verdicts` | which replica is healthy by which check | the holder |
//! | `dtr.details` | why, since when, the last answers | the holder |
//! | `dtr.observations` | what the replicas' answers revealed, to be compared | the holder |
//! | `dtr.outages` | which ports have no replica left, and since when | the holder |
//! | `dtr.histories` | what each replica has been through | the holder |
//! | `dtr.events` | the last events, to be shown | the holder, and the VM that was given an order |
//! | `dtr.counts` | connections, a row for each VM | each VM, by heartbeat |
//! | `dtr.client_vms` | which VMs count clients, a row for each | each VM, by heartbeat |
//! | `dtr.clients.N` | what clients have open, a row for each VM and client | each VM |
//! | `dtr.orders` | drain and maintenance | the VM that was asked to |
//! | `dtr.cluster_status` | what the registry says of its own replicas; JSON, without the first byte | the standalone host |
//!
//! Each key begins with `dtr.`: where a proxy gives its VMs no id, as a mesh does, what
//! other filters share is there too.
//!
//! That verdicts or orders have changed is counted in a metric: a VM looks at it before
//! each connection, and no host takes a lock or copies anything for that.
//!
//! No times are compared across VMs: each notes by its own clock when it last
//! saw a value change. Values of another version of the filter read as absent.

use serde::{Serialize, de::DeserializeOwned};

/// Shared data, as a host offers it: values with a number that changes with them.
pub trait Store {
    /// A key's value and its number.
    fn read(&mut self, key: &str) -> Option<Record>;

    /// Sets a value; with `expected`, only when the key's number still is that.
    ///
    /// # Errors
    ///
    /// [`Lost`] when it is another.
    fn write(&mut self, key: &str, value: &[u8], expected: Option<u32>) -> Result<(), Lost>;

    /// How often something was announced, by any VM.
    fn version(&mut self) -> u64;

    /// Has all VMs look at the board before their next connection: what was written
    /// before is there for who sees the new version.
    fn announce(&mut self);
}

/// A value of the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The value.
    pub value: Vec<u8>,
    /// Its number, never 0.
    pub cas: u32,
}

/// Another VM was faster, or the host could not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

pub(crate) const VM_IDS: &str = "dtr.seats";
pub(crate) const LEASE: &str = "dtr.lease";
pub(crate) const VERDICTS: &str = "dtr.verdicts";
pub(crate) const DETAILS: &str = "dtr.details";
pub(crate) const OBSERVATIONS: &str = "dtr.observations";
pub(crate) const OUTAGES: &str = "dtr.outages";
pub(crate) const HISTORIES: &str = "dtr.histories";
pub(crate) const EVENTS: &str = "dtr.events";
pub(crate) const COUNTS: &str = "dtr.counts";
pub(crate) const CLIENT_VMS: &str = "dtr.client_vms";
/// What the key of each place begins with, where clients are counted.
pub(crate) const CLIENTS: &str = "dtr.clients.";
/// The key of [`Orders`](super::orders::Orders); of a service, see [`shared_key`](crate::contract::shared_key).
pub const ORDERS: &str = "dtr.orders";

/// What to expect of a key that is not there: hosts insert it whatever is
/// expected, and refuse when another VM has just inserted it.
const ABSENT: u32 = u32::MAX;

/// The first byte of each value; a new one whenever the shape of any changes.
pub const SHAPE: u8 = 2;

/// How often a change is tried again when others were faster.
const TRIES: usize = 4;

/// Reads a value and its number.
pub(crate) fn read<T: DeserializeOwned>(store: &mut impl Store, key: &str) -> (Option<T>, u32) {
    let Some(record) = store.read(key) else {
        return (None, ABSENT);
    };
    (decode(&record.value), record.cas)
}

/// A value; `None`: it is none of this shape.
pub(super) fn decode<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    match value.split_first() {
        Some((&SHAPE, rest)) => postcard::from_bytes(rest).ok(),
        _ => None,
    }
}

/// The bytes of a value; `None`: there is no memory for them.
pub(super) fn encode<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    postcard::to_extend(value, vec![SHAPE]).ok()
}

/// A value's number, to expect of it later.
pub(crate) fn number(store: &mut impl Store, key: &str) -> u32 {
    store.read(key).map_or(ABSENT, |record| record.cas)
}

/// Writes a value if its number is still that.
pub(crate) fn write<T: Serialize>(
    store: &mut impl Store,
    key: &str,
    value: &T,
    cas: u32,
) -> Result<(), Lost> {
    let bytes = encode(value).ok_or(Lost)?;
    store.write(key, &bytes, Some(cas))
}

/// Reads, changes and writes a value, again when others were faster. What
/// `change` returns is returned once it is written.
pub(crate) fn update<T: Serialize + DeserializeOwned + Default, R>(
    store: &mut impl Store,
    key: &str,
    mut change: impl FnMut(&mut T) -> R,
) -> Result<R, Lost> {
    for _ in 0..TRIES {
        let (value, cas) = read(store, key);
        let mut value: T = value.unwrap_or_default();
        let result = change(&mut value);
        if write(store, key, &value, cas).is_ok() {
            return Ok(result);
        }
    }
    Err(Lost)
}

//! The connections this VM has open, and what is still to be learned of them.

use crate::balance::pool::ListenerId;
use crate::balance::replica::ReplicaId;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// The number a host gives a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// What the host says became of a connection so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamOutcome<'a> {
    /// It has not reached a replica, and no attempt has failed.
    Pending,
    /// It reached this replica, by name.
    Reached(&'a str),
    /// Every attempt to reach one failed.
    Failed,
}

/// One connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) listener: ListenerId,
    /// Where it is counted; `None`: the proxy chose, and has not said whom.
    pub(crate) replica: Option<ReplicaId>,
    pub(crate) settled: Settled,
}

/// Whether it is known where a connection went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Known,
    Unknown,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    open: HashMap<StreamId, Connection, BuildHasherDefault<Spread>>,
    /// Those to be asked after, oldest first; some may be closed already.
    unknown: VecDeque<StreamId>,
}

impl Connections {
    pub(crate) fn opened(
        &mut self,
        stream: StreamId,
        connection: Connection,
    ) -> Option<Connection> {
        self.unknown.push_back(stream);
        self.open.insert(stream, connection)
    }

    pub(crate) fn closed(&mut self, stream: StreamId) -> Option<Connection> {
        let connection = self.open.remove(&stream);
        // Most are short: what is closed must not pile up until the next tick.
        while self
            .unknown
            .front()
            .is_some_and(|first| !self.open.contains_key(first))
        {
            self.unknown.pop_front();
        }
        connection
    }

    pub(crate) fn get(&self, stream: StreamId) -> Option<&Connection> {
        self.open.get(&stream)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn get_mut(&mut self, stream: StreamId) -> Option<&mut Connection> {
        self.open.get_mut(&stream)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamId, &Connection)> {
        self.open
            .iter()
            .map(|(stream, connection)| (*stream, connection))
    }

    /// Up to so many of which it is not known where they went, the oldest first;
    /// each is named once, and again after [`Connections::again`].
    pub(crate) fn unknown(&mut self, most: usize) -> Vec<StreamId> {
        let mut found = Vec::new();
        while found.len() < most {
            let Some(stream) = self.unknown.pop_front() else {
                break;
            };
            if self
                .open
                .get(&stream)
                .is_some_and(|connection| connection.settled == Settled::Unknown)
            {
                found.push(stream);
            }
        }
        found
    }

    /// It is still not known where this one went.
    pub(crate) fn again(&mut self, stream: StreamId) {
        self.unknown.push_back(stream);
    }
}

/// Spreads a host's own numbers over a table; nobody else can choose them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The table looks at the low bits, the product is even in the high ones.
        self.0.rotate_left(32)
    }
}

//! The connections this VM has open, and each replica's connections, counted.

use super::listener::ListenerId;
use super::replica::{ReplicaId, ReplicaNames};
use super::replica_counts::ReplicaCounts;
use super::stream::{Blame, Opening, StreamId, UpstreamOutcome};
use super::unsettled::{Settled, Unsettled};
use crate::random;
use crate::time::Moment;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Open connections and counts. What a connection's progress means for a replica
/// comes back as [`Progress`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    open: HashMap<StreamId, Connection, BuildHasherDefault<StreamHasher>>,
    unsettled: Unsettled,
    counts: ReplicaCounts,
    last: Opening,
}

/// What a connection's progress changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The replicas whose number of open connections changed.
    pub(crate) changed: [Option<ReplicaId>; 2],
    /// The replica that a connect attempt failed at.
    pub(crate) failed: Option<ReplicaId>,
    /// The replica that took the connection and ended it before its first byte, which
    /// speaks against it.
    pub(crate) unserved: Option<ReplicaId>,
    /// The replica that a byte came from.
    pub(crate) reached: Option<ReplicaId>,
    /// Which connection it is.
    pub(crate) opening: Opening,
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    listener: ListenerId,
    /// Where it is counted; `None`: the proxy chose, and it is not known yet which.
    replica: Option<ReplicaId>,
    /// Whether it has been connected to that replica.
    connected: bool,
    /// Whether that replica has ended it before its first byte.
    unserved: bool,
    settled: Settled,
    opening: Opening,
}

impl Connections {
    /// A connection was given to a replica. A host that uses a number twice forgot
    /// to say that the first is over: that one's replica is returned.
    pub(crate) fn opened(
        &mut self,
        stream: StreamId,
        listener: ListenerId,
        replica: ReplicaId,
    ) -> Option<ReplicaId> {
        self.unsettled.push(stream);
        self.last = Opening(self.last.0.wrapping_add(1));
        let connection = Connection {
            listener,
            replica: Some(replica),
            connected: false,
            unserved: false,
            settled: Settled::NotYet,
            opening: self.last,
        };
        let before = self.open.insert(stream, connection);
        self.counts.opened(replica);
        let before = before.and_then(|connection| connection.replica);
        self.counts.closed(before);
        before
    }

    /// A connection is open at a replica that the VM before this one gave it to, and
    /// counted among those that reached it.
    pub(crate) fn adopted(&mut self, stream: StreamId, listener: ListenerId, replica: ReplicaId) {
        let connection = Connection {
            listener,
            replica: Some(replica),
            connected: true,
            unserved: false,
            settled: Settled::NotYet,
            opening: self.last,
        };
        self.unsettled.push(stream);
        let before = self.open.insert(stream, connection);
        self.counts.opened(replica);
        self.counts
            .closed(before.and_then(|connection| connection.replica));
    }

    /// A connection could not be steered: until it is known where it went it counts
    /// nowhere. The replica it no longer counts at.
    pub(crate) fn not_steered(&mut self, stream: StreamId) -> Option<ReplicaId> {
        let counted = self.open.get_mut(&stream)?.replica.take();
        self.counts.closed(counted);
        counted
    }

    /// The host was asked how far an open connection has got.
    pub(crate) fn located(
        &mut self,
        stream: StreamId,
        outcome: UpstreamOutcome<'_>,
        names: &impl ReplicaNames,
    ) -> Progress {
        let Some(mut connection) = self.open.get(&stream).copied() else {
            return Progress::default();
        };
        let looks = match connection.settled {
            Settled::Yes => return Progress::default(),
            Settled::ForNow(looks) => looks + 1,
            Settled::NotYet => 0,
        };
        // While it is open, the next attempt may be under way: only its end tells.
        let outcome = match outcome {
            UpstreamOutcome::Failed => UpstreamOutcome::Pending,
            other => other,
        };
        let progress = self.settle(&mut connection, outcome, names);
        connection.settled = match connection.settled {
            Settled::NotYet => {
                self.unsettled.push(stream);
                Settled::NotYet
            }
            Settled::Yes | Settled::ForNow(_) => self.unsettled.look_again(stream, looks),
        };
        self.open.insert(stream, connection);
        progress
    }

    /// A connection is over. For one that is not open nothing changes.
    pub(crate) fn closed(
        &mut self,
        stream: StreamId,
        outcome: UpstreamOutcome<'_>,
        names: &impl ReplicaNames,
    ) -> Progress {
        let Some(mut connection) = self.open.remove(&stream) else {
            return Progress::default();
        };
        let open = &self.open;
        self.unsettled
            .drop_closed(|stream| !open.contains_key(stream));
        let chosen = connection.replica;
        let mut progress = self.settle(&mut connection, outcome, names);
        self.counts.closed(connection.replica);
        let left = connection.replica.filter(|left| Some(*left) != chosen);
        progress.changed = [chosen, left];
        progress
    }

    /// A replica ended a connection before its first byte; it may go on at another.
    pub(crate) fn left_unserved(
        &mut self,
        stream: StreamId,
        name: &str,
        blame: Blame,
        names: &impl ReplicaNames,
    ) -> Progress {
        let Some(mut connection) = self.open.get(&stream).copied() else {
            return Progress::default();
        };
        let settled = connection.settled;
        let connected = UpstreamOutcome::Connected(name);
        let mut progress = self.settle(&mut connection, connected, names);
        // It is looked at again as planned: it may move.
        connection.settled = settled;
        let is_news = !std::mem::replace(&mut connection.unserved, true);
        if is_news && blame == Blame::Yes {
            progress.unserved = connection.replica;
        }
        if let Some(unserved) = progress.unserved {
            self.counts.unserved(unserved);
        }
        self.open.insert(stream, connection);
        progress
    }

    /// What was counted of each replica.
    pub(crate) fn counts(&self) -> &ReplicaCounts {
        &self.counts
    }

    /// The same, to take in what the other VMs counted.
    pub(crate) fn counts_mut(&mut self) -> &mut ReplicaCounts {
        &mut self.counts
    }

    /// The connection opened last.
    pub(crate) fn last(&self) -> Opening {
        self.last
    }

    /// Whether no connection is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Up to `most` connections that are not settled, the oldest first; each is
    /// named once, and again after [`Connections::located`] did not settle it, or
    /// when it is time to look whether it has moved.
    pub(crate) fn take_unsettled(&mut self, most: usize, now: Moment) -> Vec<StreamId> {
        let open = &self.open;
        self.unsettled.take(most, now, |stream, settled| {
            let connection = open.get(&stream);
            connection.is_some_and(|connection| connection.settled == settled)
        })
    }

    /// The connections of a replica on the listeners that a predicate holds for.
    pub(crate) fn of(
        &self,
        replica: ReplicaId,
        listens: impl Fn(ListenerId) -> bool,
    ) -> impl Iterator<Item = StreamId> {
        self.open.iter().filter_map(move |(stream, connection)| {
            let is_meant = connection.replica == Some(replica) && listens(connection.listener);
            is_meant.then_some(*stream)
        })
    }

    /// Learns where a connection went: to the chosen replica, to another because
    /// the chosen one did not answer, or nowhere. It may go on from a replica that
    /// ended it before its first byte.
    fn settle(
        &mut self,
        connection: &mut Connection,
        outcome: UpstreamOutcome<'_>,
        names: &impl ReplicaNames,
    ) -> Progress {
        let chosen = connection.replica;
        let mut progress = Progress {
            opening: connection.opening,
            ..Progress::default()
        };
        let name = match outcome {
            UpstreamOutcome::Pending => return progress,
            UpstreamOutcome::Failed => {
                if !connection.connected {
                    progress.failed = chosen;
                    self.counts.failed(chosen);
                }
                return progress;
            }
            UpstreamOutcome::Connected(name) | UpstreamOutcome::Reached(name) => name,
        };
        // By far the most reach the chosen one: no look-up for those.
        let here = match chosen.filter(|id| names.is_named(*id, name)) {
            Some(chosen) => Some(chosen),
            None => names.id(name),
        };
        if here != chosen {
            // One that it was connected to is not one that a connect failed at.
            progress.failed = chosen.filter(|_| !connection.connected);
            self.counts.failed(progress.failed);
            progress.changed = [chosen, here];
            self.counts.closed(chosen);
            if let Some(here) = here {
                self.counts.opened(here);
            }
            (connection.replica, connection.connected) = (here, false);
            connection.unserved = false;
        }
        if let Some(here) = here
            && !std::mem::replace(&mut connection.connected, true)
        {
            self.counts.connected(here);
        }
        if let UpstreamOutcome::Reached(_) = outcome {
            progress.reached = here;
        }
        connection.settled = Settled::Yes;
        progress
    }
}

/// Spreads a host's own numbers over a table; clients cannot choose them.
#[derive(Clone, Debug, Default)]
struct StreamHasher(u64);

impl Hasher for StreamHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = random::mix(self.0 ^ u64::from(number));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;

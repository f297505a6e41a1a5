//! The connections this VM has open, and each replica's connections, counted.

use super::listener::ListenerId;
use super::replica::{ReplicaId, ReplicaNames};
use super::replica_counts::ReplicaCounts;
use super::stream::{Blame, Opening, StreamId, UpstreamOutcome};
use super::tally::Tally;
use crate::random;
use crate::time::Moment;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

/// Open connections and counts. What a connection's progress means for a replica
/// comes back as [`Progress`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    open: HashMap<StreamId, Connection, BuildHasherDefault<StreamHasher>>,
    /// Those not settled yet, oldest first; some may be closed already.
    unsettled: VecDeque<StreamId>,
    /// Those that may yet move, by how often they were looked at, with the time of
    /// the next look; some may be closed already.
    movable: [VecDeque<(Moment, StreamId)>; LOOKS_AGAIN.len()],
    /// When connections were last asked for.
    now: Moment,
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

/// Whether it is known where a connection went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Yes,
    /// It is, but the host may take it elsewhere: the standalone host does when the
    /// replica ends before its first byte. Looked at again this many times.
    ForNow(usize),
    NotYet,
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
        self.unsettled.push_back(stream);
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
        self.unsettled.push_back(stream);
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
        let again = self.movable.get_mut(looks).zip(LOOKS_AGAIN.get(looks));
        connection.settled = match (connection.settled, again) {
            (Settled::NotYet, _) => {
                self.unsettled.push_back(stream);
                Settled::NotYet
            }
            (_, Some((movable, wait))) => {
                movable.push_back((self.now.plus(*wait), stream));
                Settled::ForNow(looks)
            }
            (_, None) => Settled::Yes,
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
        self.drop_closed();
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

    /// Takes in what the other VMs counted of a replica; what it was before.
    pub(crate) fn set_elsewhere(&mut self, id: ReplicaId, tally: Tally) -> Tally {
        self.counts.set_elsewhere(id, tally)
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
        self.now = now;
        let mut found = Vec::new();
        let open = &self.open;
        let mut take = |stream: StreamId, settled: Settled| {
            let connection = open.get(&stream);
            if connection.is_some_and(|connection| connection.settled == settled) {
                found.push(stream);
            }
            found.len() < most
        };
        while let Some(stream) = self.unsettled.pop_front() {
            if !take(stream, Settled::NotYet) {
                return found;
            }
        }
        for (looks, movable) in self.movable.iter_mut().enumerate() {
            while let Some((_, stream)) = movable.pop_front_if(|(due, _)| *due <= now) {
                if !take(stream, Settled::ForNow(looks)) {
                    return found;
                }
            }
        }
        found
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

    /// Most are short: what is closed must not pile up until the next tick.
    fn drop_closed(&mut self) {
        let open = &self.open;
        let is_closed = |stream: &mut StreamId| !open.contains_key(stream);
        while self.unsettled.pop_front_if(is_closed).is_some() {}
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

/// Between two looks whether a connection has moved, which it may for 30 s.
const LOOKS_AGAIN: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

#[cfg(test)]
mod tests;

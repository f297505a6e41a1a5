//! Connections of which it is not known for certain where they went, and when to look.

use super::stream::StreamId;
use crate::time::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Connections to be looked at; some may be closed already.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsettled {
    /// Those not settled yet, oldest first.
    pending: VecDeque<StreamId>,
    /// Those that may yet move, by how often they were looked at, with the time of
    /// the next look.
    movable: [VecDeque<(Moment, StreamId)>; LOOKS_AGAIN.len()],
    /// When connections were last asked for.
    now: Moment,
}

/// Whether it is known where a connection went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Yes,
    /// It is, but the host may take it elsewhere: the standalone host does when the
    /// replica ends before its first byte. Looked at again this many times.
    ForNow(usize),
    NotYet,
}

impl Unsettled {
    /// It is not known where the connection went.
    pub(super) fn push(&mut self, stream: StreamId) {
        self.pending.push_back(stream);
    }

    /// It is known, and the connection has been looked at again this many times before.
    pub(super) fn look_again(&mut self, stream: StreamId, looks: usize) -> Settled {
        match self.movable.get_mut(looks).zip(LOOKS_AGAIN.get(looks)) {
            Some((movable, wait)) => {
                movable.push_back((self.now.plus(*wait), stream));
                Settled::ForNow(looks)
            }
            None => Settled::Yes,
        }
    }

    /// Takes up to `most` to be looked at, the oldest first, of those that `is` says are
    /// still what they were when they were put here.
    pub(super) fn take(
        &mut self,
        most: usize,
        now: Moment,
        is: impl Fn(StreamId, Settled) -> bool,
    ) -> Vec<StreamId> {
        self.now = now;
        let mut found = Vec::new();
        let mut take = |stream: StreamId, settled: Settled| {
            if is(stream, settled) {
                found.push(stream);
            }
            found.len() < most
        };
        while let Some(stream) = self.pending.pop_front() {
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

    /// Most are short: what is closed must not pile up until the next look.
    pub(super) fn drop_closed(&mut self, is_closed: impl Fn(&StreamId) -> bool) {
        let is_closed = |stream: &mut StreamId| is_closed(stream);
        while self.pending.pop_front_if(is_closed).is_some() {}
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

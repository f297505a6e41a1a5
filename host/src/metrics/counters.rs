//! What workers count.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::metrics::Reason;
use proxy_wasm_engine::Direction;

/// What one worker counts. Its own, so that workers share no cache line on the
/// path of a connection; added up for the metrics.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// 1 while the worker lives.
    pub(crate) alive: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    pub(super) closed: [AtomicU64; Reason::ALL.len()],
    pub(super) sent_up: AtomicU64,
    pub(super) sent_down: AtomicU64,
    pub(crate) connect_failures: AtomicU64,
    pub(crate) first_flight_resent: AtomicU64,
    pub(crate) vm_running: AtomicU64,
    pub(crate) vm_failures: AtomicU64,
    pub(crate) vm_reloads: AtomicU64,
}

impl Counters {
    /// Counts a connection as open until what is returned is closed or dropped.
    pub(crate) fn open(self: &Arc<Self>) -> OpenCount {
        self.accepted.fetch_add(1, Relaxed);
        OpenCount {
            counters: Arc::clone(self),
            reason: Reason::InternalError,
        }
    }

    /// Adds what others have counted.
    pub(super) fn add(&self, others: &Counters) {
        let Counters {
            alive,
            accepted,
            accept_errors,
            closed,
            sent_up,
            sent_down,
            connect_failures,
            first_flight_resent,
            vm_running,
            vm_failures,
            vm_reloads,
        } = others;
        for (own, other) in [
            (&self.alive, alive),
            (&self.accepted, accepted),
            (&self.accept_errors, accept_errors),
            (&self.sent_up, sent_up),
            (&self.sent_down, sent_down),
            (&self.connect_failures, connect_failures),
            (&self.first_flight_resent, first_flight_resent),
            (&self.vm_running, vm_running),
            (&self.vm_failures, vm_failures),
            (&self.vm_reloads, vm_reloads),
        ]
        .into_iter()
        .chain(self.closed.iter().zip(closed))
        {
            own.fetch_add(other.load(Relaxed), Relaxed);
        }
    }

    /// Connections open now.
    pub(crate) fn active(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|count| count.load(Relaxed)).sum();
        self.accepted.load(Relaxed).saturating_sub(closed)
    }

    /// The worker's thread panicked.
    pub(crate) fn worker_died(&self) {
        self.alive.store(0, Relaxed);
    }

    pub(crate) fn moved(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::Downstream => &self.sent_up,
            Direction::Upstream => &self.sent_down,
        };
        counter.fetch_add(bytes as u64, Relaxed);
    }
}

/// A connection that counts as open. One that is dropped without a reason ended by
/// an internal error.
pub(crate) struct OpenCount {
    counters: Arc<Counters>,
    reason: Reason,
}

impl OpenCount {
    pub(crate) fn close(mut self, reason: Reason) {
        self.reason = reason;
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.counters.closed[self.reason as usize].fetch_add(1, Relaxed);
    }
}

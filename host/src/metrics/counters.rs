//! What workers count.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::metrics::Reason;
use crate::metrics::histogram::{Bounds, Histogram};
use crate::metrics::traffic::{Traffic, TrafficNames};

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
    pub(crate) connect_failures: AtomicU64,
    pub(crate) first_flight_resent: AtomicU64,
    pub(crate) vm_running: AtomicU64,
    pub(crate) vm_failures: AtomicU64,
    pub(crate) vm_reloads: AtomicU64,
    pub(super) session_durations: Histogram,
    pub(crate) traffic: Traffic,
}

impl Counters {
    /// Of a worker that runs a plan with these names.
    pub(super) fn of(names: Arc<TrafficNames>) -> Counters {
        Counters {
            traffic: Traffic::new(names),
            ..Counters::default()
        }
    }

    /// Counts a connection as open until what is returned is closed or dropped.
    pub(crate) fn open(self: &Arc<Self>) -> OpenCount {
        self.accepted.fetch_add(1, Relaxed);
        OpenCount {
            counters: Arc::clone(self),
            reason: Reason::InternalError,
        }
    }

    /// Adds what others have counted, but for traffic, which is counted by name.
    pub(super) fn add(&self, others: &Counters) {
        let Counters {
            alive,
            accepted,
            accept_errors,
            closed,
            connect_failures,
            first_flight_resent,
            vm_running,
            vm_failures,
            vm_reloads,
            session_durations,
            traffic: _,
        } = others;
        self.session_durations.add(session_durations);
        for (own, other) in [
            (&self.alive, alive),
            (&self.accepted, accepted),
            (&self.accept_errors, accept_errors),
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
}

/// A connection that counts as open. One that is dropped without a reason ended by
/// an internal error.
pub(crate) struct OpenCount {
    counters: Arc<Counters>,
    reason: Reason,
}

impl OpenCount {
    /// Counts it as closed, after so long.
    pub(crate) fn close(mut self, reason: Reason, lasted: Duration) {
        self.reason = reason;
        let durations = &self.counters.session_durations;
        durations.count(&SESSION_BOUNDS, lasted);
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.counters.closed[self.reason as usize].fetch_add(1, Relaxed);
    }
}

/// From a refused connection to a day's work.
pub(super) const SESSION_BOUNDS: Bounds = [
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    600_000_000,
    1_800_000_000,
    3_600_000_000,
    21_600_000_000,
];

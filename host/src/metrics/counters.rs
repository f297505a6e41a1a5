//! What workers count.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::metrics::Reason;
use proxy_wasm_engine::Direction;

/// What one worker counts. Its own, so that workers share no cache line on the
/// path of a connection; added up when somebody looks.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// 1 while the worker lives.
    pub(crate) alive: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    pub(super) closed: [AtomicU64; Reason::ALL.len()],
    pub(super) sent_up: AtomicU64,
    pub(super) sent_down: AtomicU64,
    pub(crate) connect_failures: AtomicU64,
    pub(crate) vm_running: AtomicU64,
    pub(crate) vm_failures: AtomicU64,
    pub(crate) vm_reloads: AtomicU64,
}

impl Counters {
    pub(crate) fn closed(&self, reason: Reason) {
        self.closed[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn moved(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::Downstream => &self.sent_up,
            Direction::Upstream => &self.sent_down,
        };
        counter.fetch_add(bytes as u64, Relaxed);
    }
}

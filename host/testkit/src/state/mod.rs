//! What the workers of a kit share: clock, randomness, clusters, faults, transcript.

mod log_line;
pub(crate) mod worker;
pub(crate) mod worker_state;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proxy_wasm_engine::ContextId;

use crate::fault::Faults;
use crate::transcript::{Entry, EntryKind, Transcript};

pub use log_line::LogLine;

/// What the workers of a kit share.
pub(crate) struct KitState {
    inner: Mutex<Inner>,
}

struct Inner {
    /// Since the kit started.
    now: Duration,
    /// Wall-clock time at that moment, since 1970.
    start: Duration,
    random: u64,
    clusters: BTreeSet<String>,
    faults: Faults,
    transcript: Transcript,
    properties: Vec<Property>,
    logs: Vec<LogLine>,
    /// Traps that faults brought about, since `take_injected_trap`.
    injected_traps: usize,
}

struct Property {
    context: Option<ContextId>,
    worker: Option<usize>,
    path: String,
    value: Vec<u8>,
}

impl KitState {
    pub(crate) fn new(seed: u64, start: Duration) -> KitState {
        KitState {
            inner: Mutex::new(Inner {
                now: Duration::ZERO,
                start,
                random: seed,
                clusters: BTreeSet::new(),
                faults: Faults::default(),
                transcript: Transcript::default(),
                properties: Vec::new(),
                logs: Vec::new(),
                injected_traps: 0,
            }),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.lock().now
    }

    pub(crate) fn realtime(&self) -> Duration {
        let inner = self.lock();
        inner.start + inner.now
    }

    pub(crate) fn set_now(&self, now: Duration) {
        self.lock().now = now;
    }

    pub(crate) fn add_cluster(&self, name: &str) {
        self.lock().clusters.insert(name.to_owned());
    }

    pub(crate) fn remove_cluster(&self, name: &str) {
        self.lock().clusters.remove(name);
    }

    pub(crate) fn with_faults<T>(&self, f: impl FnOnce(&mut Faults) -> T) -> T {
        f(&mut self.lock().faults)
    }

    pub(crate) fn transcript(&self) -> Transcript {
        self.lock().transcript.clone()
    }

    pub(crate) fn with_transcript<T>(&self, f: impl FnOnce(&Transcript) -> T) -> T {
        f(&self.lock().transcript)
    }

    pub(crate) fn logs(&self) -> Vec<LogLine> {
        self.lock().logs.clone()
    }

    pub(crate) fn note(&self, worker: usize, note: impl Into<String>) {
        self.lock().record(worker, EntryKind::Kit(note.into()));
    }

    /// Whether a fault brought about the latest trap.
    pub(crate) fn take_injected_trap(&self) -> bool {
        std::mem::take(&mut self.lock().injected_traps) > 0
    }

    pub(crate) fn set_property(
        &self,
        of: Option<(usize, ContextId)>,
        path: String,
        value: Vec<u8>,
    ) {
        let (worker, context) = of.unzip();
        let mut inner = self.lock();
        (inner.properties)
            .retain(|old| old.path != path || old.context != context || old.worker != worker);
        inner.properties.push(Property {
            context,
            worker,
            path,
            value,
        });
    }

    /// A test that panics while the guest runs must still see its transcript.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn record(&mut self, worker: usize, kind: EntryKind) {
        let at = self.now;
        self.transcript.push(Entry { at, worker, kind });
    }
}

/// SplitMix64: small, and good enough to make guests' choices repeatable.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

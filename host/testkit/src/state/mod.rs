//! The world a guest lives in: its clock, its randomness, who listens.

pub(crate) mod worker;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proxy_wasm_engine::{ContextId, Observer, Trap, TrapReason, World};

use crate::fault::Faults;
use crate::status::Status;
use crate::transcript::{Argument, Entry, EntryKind, HostcallRecord, Transcript};
use crate::transcript::{callback, decode};

/// What one kit's workers have in common.
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
    /// How many traps a fault brought about and nobody has looked at yet.
    injected_traps: usize,
    /// Keys of filter state that guests ever set.
    filter_state_keys: BTreeSet<String>,
}

struct Property {
    context: Option<ContextId>,
    worker: Option<usize>,
    path: String,
    value: Vec<u8>,
}

/// A line the guest logged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// Time since the kit started.
    pub at: Duration,
    /// Which worker, counted from 0.
    pub worker: usize,
    /// On whose behalf.
    pub context: ContextId,
    /// `trace`, `debug`, `info`, `warn`, `error` or `critical`.
    pub level: String,
    /// What it says.
    pub message: String,
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
                filter_state_keys: BTreeSet::new(),
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

    pub(crate) fn filter_state_keys(&self) -> BTreeSet<String> {
        self.lock().filter_state_keys.clone()
    }

    /// Whether the trap just seen was a fault's doing.
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

/// One worker's view of the kit_state.
pub(crate) struct WorkerState {
    pub(crate) kit_state: Arc<KitState>,
    worker: usize,
    woken: AtomicBool,
}

impl WorkerState {
    pub(crate) fn new(kit_state: Arc<KitState>, worker: usize) -> Arc<WorkerState> {
        Arc::new(WorkerState {
            kit_state,
            worker,
            woken: AtomicBool::new(false),
        })
    }

    /// Whether somebody left something for this worker since the last time.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::Relaxed)
    }
}

/// The VM's side of a [`WorkerState`].
pub(crate) struct WorkerView(pub(crate) Arc<WorkerState>);

impl World for WorkerView {
    fn has_cluster(&self, name: &str) -> bool {
        self.0.kit_state.lock().clusters.contains(name)
    }

    fn realtime(&self) -> Duration {
        self.0.kit_state.realtime()
    }

    fn monotonic(&self) -> Duration {
        self.0.kit_state.now()
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut inner = self.0.kit_state.lock();
        for chunk in bytes.chunks_mut(8) {
            let word = split_mix(&mut inner.random).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    fn wake(&self) {
        self.0.woken.store(true, Ordering::Relaxed);
    }

    fn observer(&self) -> Option<Arc<dyn Observer>> {
        Some(Arc::new(WorkerView(self.0.clone())))
    }
}

impl Observer for WorkerView {
    fn property(&self, context: ContextId, path: &[u8]) -> Option<Vec<u8>> {
        let inner = self.0.kit_state.lock();
        if inner.properties.is_empty() {
            return None;
        }
        let path = String::from_utf8_lossy(path).replace('\0', ".");
        let own = (Some(self.0.worker), Some(context));
        let found = |of: (Option<usize>, Option<ContextId>)| {
            let mut properties = inner.properties.iter();
            properties.find(|known| known.path == path && (known.worker, known.context) == of)
        };
        let found = found(own).or_else(|| found((None, None)))?;
        Some(found.value.clone())
    }

    fn enter(&self, callback: &'static str, arguments: &[u32]) -> Option<TrapReason> {
        let mut inner = self.0.kit_state.lock();
        let kind = EntryKind::Callback {
            name: callback.to_owned(),
            context: ContextId(arguments.first().copied().unwrap_or_default()),
            arguments: callback::arguments(callback, arguments),
        };
        inner.record(self.0.worker, kind);
        let struck = inner.faults.trap(callback);
        if struck.is_some() {
            inner.injected_traps += 1;
        }
        struck
    }

    fn leave(&self, callback: &'static str, outcome: Result<Option<u32>, &Trap>) {
        let outcome = match outcome {
            Ok(value) => Ok(value.map(|value| callback::result(callback, value))),
            Err(trap) => Err(trap.to_string()),
        };
        let name = callback.to_owned();
        let kind = EntryKind::Returned { name, outcome };
        self.0.kit_state.lock().record(self.0.worker, kind);
    }

    fn call(&self, call: &proxy_wasm_engine::Hostcall<'_>) -> Option<u32> {
        let cas = (call.name == "proxy_set_shared_data")
            .then(|| call.arguments.get(4).copied().unwrap_or_default());
        let mut inner = self.0.kit_state.lock();
        let status = inner.faults.status(call.name, cas)?;
        let kind = EntryKind::Hostcall(HostcallRecord {
            name: call.name.to_owned(),
            context: call.context,
            arguments: decode::arguments(call),
            results: Vec::new(),
            status: Some(status),
            fault: true,
        });
        inner.record(self.0.worker, kind);
        Some(status.0)
    }

    fn returned(&self, call: &proxy_wasm_engine::Hostcall<'_>, status: Option<u32>) {
        let status = status.map(Status);
        let arguments = decode::arguments(call);
        let results = match status {
            Some(Status::OK) => decode::results(call),
            _ => Vec::new(),
        };
        let mut inner = self.0.kit_state.lock();
        if let Some((level, message)) = logged(call.name, &arguments) {
            let at = inner.now;
            inner.logs.push(LogLine {
                at,
                worker: self.0.worker,
                context: call.context,
                level,
                message,
            });
        }
        if let Some(key) = decode::filter_state_key(call) {
            inner.filter_state_keys.insert(key);
        }
        let kind = EntryKind::Hostcall(HostcallRecord {
            name: call.name.to_owned(),
            context: call.context,
            arguments,
            results,
            status,
            fault: false,
        });
        inner.record(self.0.worker, kind);
    }

    fn may_grow(&self, from: usize, to: usize) -> bool {
        let mut inner = self.0.kit_state.lock();
        if inner.faults.memory().is_none() {
            return true;
        }
        let note = format!("the guest gets no more memory ({from} bytes, wanted {to})");
        inner.injected_traps += 1;
        inner.record(self.0.worker, EntryKind::Kit(note));
        false
    }
}

fn logged(hostcall: &str, arguments: &[Argument]) -> Option<(String, String)> {
    let argument = |name: &str| {
        let found = arguments.iter().find(|argument| argument.name == name);
        found.map(|argument| argument.value.clone())
    };
    match hostcall {
        "proxy_log" => Some((argument("level")?, argument("message")?)),
        "fd_write" => Some((
            argument("level")?,
            argument("message")?.trim_end().to_owned(),
        )),
        _ => None,
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

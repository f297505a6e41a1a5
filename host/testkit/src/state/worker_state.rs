//! What a worker's VM sees of the kit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proxy_wasm_engine::{ContextId, Environment, Observer, Status, Trap, TrapReason};

use super::{KitState, LogLine, split_mix};
use crate::transcript::{Argument, EntryKind, HostcallRecord, callback, decode};

/// A worker's part of the kit's state.
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

    /// Whether a queue item waits for this worker since the last call.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::Relaxed)
    }
}

/// The VM's side of [`WorkerState`].
pub(crate) struct WorkerView(pub(crate) Arc<WorkerState>);

impl Environment for WorkerView {
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

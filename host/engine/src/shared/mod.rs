//! What the VMs of a process share.

mod data;
mod metric;
mod queue;

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub(super) use data::{Cas, DataSpace};
pub(super) use metric::{CounterRecord, MetricRegistry, MetricTable};
pub use metric::{Metric, MetricKind};
pub(super) use queue::{Inbox, Queues};

/// What VMs of a process share: data and queues (by VM id) and metrics. Cheap to clone.
///
/// It outlives the VMs, so that a VM that is rebuilt finds what it left.
#[derive(Clone, Default)]
pub struct Shared(Arc<Inner>);

#[derive(Default)]
struct Inner {
    spaces: Mutex<HashMap<String, Arc<DataSpace>>>,
    metrics: MetricRegistry,
    queues: Queues,
    /// Every write of any VM takes the next number.
    last_cas: Arc<AtomicU32>,
}

impl Shared {
    /// An empty store.
    pub fn new() -> Shared {
        Shared::default()
    }

    /// All metrics, by name.
    pub fn metrics(&self) -> Vec<Metric> {
        self.0.metrics.snapshot()
    }

    /// Value of the counter or gauge of this name.
    pub fn metric(&self, name: &str) -> Option<u64> {
        self.0.metrics.value(name)
    }

    /// What a VM of this id would read under this key.
    pub fn data(&self, vm_id: &str, key: &[u8]) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        self.space(vm_id).get(key, &mut value).map(|_| value)
    }

    /// Writes what VMs of this id then read under this key, as one of them would.
    /// Whether there was room for it.
    pub fn set_data(&self, vm_id: &str, key: &[u8], value: &[u8]) -> bool {
        self.space(vm_id).set(key, value, None).is_ok()
    }

    /// Everything that VMs of this id share, by key, in no order.
    ///
    /// ```
    /// let shared = proxy_wasm_engine::Shared::new();
    /// shared.set_data("vm", b"key", b"value");
    /// let all = shared.all_data("vm");
    /// assert_eq!(all, [(b"key".to_vec(), b"value".to_vec())]);
    /// assert_eq!(shared.all_data("other"), []);
    /// ```
    pub fn all_data(&self, vm_id: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.space(vm_id).entries()
    }

    /// Adds one to the counter of this name, as a VM would that announces what it has
    /// written: who sees the new value sees that, too. Whether there is room for it.
    ///
    /// ```
    /// let shared = proxy_wasm_engine::Shared::new();
    /// assert!(shared.count_up("changes") && shared.count_up("changes"));
    /// assert_eq!(shared.metric("changes"), Some(2));
    /// ```
    pub fn count_up(&self, counter: &str) -> bool {
        self.0.metrics.count_up(counter).is_ok()
    }

    /// Puts an item into a queue that a VM of this id has registered. Whether
    /// there is such a queue, with room for it.
    pub fn enqueue(&self, vm_id: &str, queue: &[u8], item: &[u8]) -> bool {
        let queues = &self.0.queues;
        let queue = queues.resolve(vm_id, queue);
        queue.is_some_and(|queue| queues.enqueue(queue, item).is_ok())
    }

    pub(super) fn space(&self, vm_id: &str) -> Arc<DataSpace> {
        let mut spaces = self.0.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        match spaces.get(vm_id) {
            Some(space) => space.clone(),
            None => {
                let space = Arc::new(DataSpace::new(self.0.last_cas.clone()));
                spaces.insert(vm_id.to_owned(), space.clone());
                space
            }
        }
    }

    pub(super) fn registry(&self) -> &MetricRegistry {
        &self.0.metrics
    }

    pub(super) fn queues(&self) -> &Queues {
        &self.0.queues
    }
}

/// Locks for reading; a panic elsewhere does not take the data away.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

//! Queues of messages between VMs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::abi::{ContextId, QueueId};
use crate::config::Environment;
use crate::status::{HostcallError, HostcallResult};

/// All queues of a process.
#[derive(Default)]
pub(crate) struct Queues(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    names: HashMap<(String, Vec<u8>), QueueId>,
    queues: HashMap<QueueId, Queue>,
    last: u32,
    /// Bytes of all items.
    size: usize,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Vec<u8>>,
    reader: Option<(Weak<Inbox>, ContextId)>,
}

/// What waits for one VM: a root context and a queue for each item.
pub(crate) struct Inbox {
    waiting: Mutex<VecDeque<(ContextId, QueueId)>>,
    environment: Arc<dyn Environment>,
}

impl Inbox {
    pub(crate) fn new(environment: Arc<dyn Environment>) -> Arc<Inbox> {
        Arc::new(Inbox {
            waiting: Mutex::default(),
            environment,
        })
    }

    /// What waits now.
    pub(crate) fn take(&self) -> VecDeque<(ContextId, QueueId)> {
        std::mem::take(&mut *lock(&self.waiting))
    }
}

impl Queues {
    /// The queue of this name; from now on its items call this root's `on_queue_ready`.
    ///
    /// # Errors
    /// "Internal failure" when there are too many queues.
    pub(crate) fn register(
        &self,
        vm_id: &str,
        name: &[u8],
        reader: &Arc<Inbox>,
        root: ContextId,
    ) -> Result<QueueId, HostcallError> {
        let mut inner = lock(&self.0);

        let key = (vm_id.to_owned(), name.to_vec());
        let id = match inner.names.get(&key) {
            Some(id) => *id,
            None if inner.queues.len() >= MAX_QUEUES || name.len() > MAX_NAME_LEN => {
                return Err(HostcallError::Internal);
            }
            None => {
                inner.last = inner.last.checked_add(1).unwrap_or(1);
                let id = QueueId(inner.last);
                inner.names.insert(key, id);
                id
            }
        };
        inner.queues.entry(id).or_default().reader = Some((Arc::downgrade(reader), root));
        Ok(id)
    }

    pub(crate) fn resolve(&self, vm_id: &str, name: &[u8]) -> Option<QueueId> {
        lock(&self.0)
            .names
            .get(&(vm_id.to_owned(), name.to_vec()))
            .copied()
    }

    /// # Errors
    /// "Not found" when there is no such queue, "internal" when it is full.
    pub(crate) fn enqueue(&self, id: QueueId, item: &[u8]) -> HostcallResult {
        let reader = {
            let mut inner = lock(&self.0);
            let size = inner.size + item.len();
            let queue = inner.queues.get_mut(&id).ok_or(HostcallError::NotFound)?;
            if size > MAX_BYTES || queue.items.len() >= MAX_ITEMS {
                return Err(HostcallError::Internal);
            }
            queue.items.push_back(item.to_vec());
            let reader = queue.reader.clone();
            inner.size = size;
            reader
        };
        // Outside the lock: `wake` is the owner's code.
        if let Some((inbox, root)) = reader
            && let Some(inbox) = inbox.upgrade()
        {
            lock(&inbox.waiting).push_back((root, id));
            inbox.environment.wake();
        }
        Ok(())
    }

    /// # Errors
    /// "Not found" when there is no such queue, "empty" when it is.
    pub(crate) fn dequeue(&self, id: QueueId) -> Result<Vec<u8>, HostcallError> {
        let mut inner = lock(&self.0);
        let queue = inner.queues.get_mut(&id).ok_or(HostcallError::NotFound)?;
        let item = queue.items.pop_front().ok_or(HostcallError::Empty)?;
        inner.size -= item.len();
        Ok(item)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Most bytes that may wait in all queues, and items in one.
const MAX_BYTES: usize = 256 << 20;
const MAX_ITEMS: usize = 1 << 20;
/// Most queues of a process, and the longest name of one, bytes.
const MAX_QUEUES: usize = 4096;
const MAX_NAME_LEN: usize = 1024;

//! How many connections may be open at once, over all workers and all reloads.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;

/// Counts the open connections of a process or of a listener against a limit. Who
/// finds no place waits in line, whichever worker accepted it. A worker accepts the next
/// client of a listener when the one before it has its place: each worker's kernel queue is
/// served in order, and the queues take turns, however long each is.
#[derive(Default)]
pub(crate) struct Admission {
    open: AtomicUsize,
    limit: AtomicUsize,
    /// What those count against that can't wait any more.
    most: AtomicUsize,
    /// How many wait: who leaves locks only when somebody does.
    waiting: AtomicUsize,
    /// How many ever had to wait.
    waited: AtomicUsize,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    clients: VecDeque<oneshot::Sender<Slot>>,
    /// When somebody last had to wait.
    reached: Option<Instant>,
    /// What the log says of it.
    warning: String,
}

/// A limit, and what is said when it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// This many connections wait for nobody to leave.
    pub(crate) connections: usize,
    /// Those that are accepted while a drain begins may be this many.
    pub(crate) most: usize,
    /// Names the limit, the field it comes from, and the remedy.
    pub(crate) warning: String,
}

impl Admission {
    #[cfg(test)]
    pub(crate) fn new(limit: Limit) -> Arc<Admission> {
        let admission = Arc::new(Admission::default());
        admission.set_limit(limit);
        admission
    }

    /// Sets another limit. Those who are in stay, also when there are more of them.
    pub(crate) fn set_limit(self: &Arc<Self>, limit: Limit) {
        self.limit.store(limit.connections, SeqCst);
        self.most.store(limit.most, SeqCst);
        self.line().warning = limit.warning;
        self.admit();
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// How many had to wait until another left.
    pub(crate) fn waited(&self) -> usize {
        self.waited.load(Relaxed)
    }

    /// Takes a place when there is one and nobody waits for it.
    fn try_take(&self) -> bool {
        self.waiting.load(SeqCst) == 0 && self.take(&self.limit)
    }

    fn take(&self, limit: &AtomicUsize) -> bool {
        let limit = limit.load(SeqCst);
        let more = |open| (open < limit).then_some(open + 1);
        self.open.fetch_update(SeqCst, Relaxed, more).is_ok()
    }

    /// Waits in line for a place.
    async fn wait(self: &Arc<Self>) -> Slot {
        self.waited.fetch_add(1, Relaxed);
        loop {
            let (sender, slot) = oneshot::channel();
            {
                let mut line = self.line();
                line.note_reached();
                line.clients.push_back(sender);
                self.waiting.store(line.clients.len(), SeqCst);
            }
            // Somebody may have left before there was anybody to give way to.
            self.admit();
            // Senders are dropped with the line only.
            if let Ok(slot) = slot.await {
                return slot;
            }
        }
    }

    fn leave(self: &Arc<Self>) {
        self.open.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.admit();
        }
    }

    /// Gives free places to those who have waited longest.
    fn admit(self: &Arc<Self>) {
        // Those who are gone leave only when the line is free again.
        let mut gone = Vec::new();
        let mut line = self.line();
        while !line.clients.is_empty() && self.take(&self.limit) {
            let mut slot = Slot(Some(Arc::clone(self)));
            while let Some(client) = line.clients.pop_front() {
                match client.send(slot) {
                    Ok(()) => {
                        slot = Slot(None);
                        break;
                    }
                    Err(refused) => slot = refused,
                }
            }
            gone.push(slot);
        }
        self.waiting.store(line.clients.len(), SeqCst);
        drop(line);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Warns, unless the limit has been reached over and over since the last warning.
    fn note_reached(&mut self) {
        let now = Instant::now();
        let before = self.reached.replace(now);
        if before.is_none_or(|before| now.duration_since(before) >= LEFT_FOR) {
            warn!("{}", self.warning);
        }
    }
}

/// A worker's way to an admission: no connection touches its reference count, which
/// all workers share.
#[derive(Clone)]
#[expect(
    clippy::redundant_allocation,
    reason = "a clone of the Rc is no atomic operation, one of the Arc is"
)]
pub(crate) struct Gate(Rc<Arc<Admission>>);

impl Gate {
    pub(crate) fn new(admission: Arc<Admission>) -> Gate {
        Gate(Rc::new(admission))
    }

    /// Waits for a place.
    pub(crate) async fn enter(&self) -> Place {
        if !self.0.try_take() {
            self.0.wait().await.keep();
        }
        Place(self.clone())
    }

    /// A place for who can't wait, beyond the limit if need be; none when there are
    /// no files for it.
    pub(crate) fn enter_now(&self) -> Option<Place> {
        self.0.take(&self.0.most).then(|| Place(self.clone()))
    }
}

/// A connection's place; dropped, however that comes, it is another's.
pub(crate) struct Place(Gate);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.leave();
    }
}

/// A connection's places: among those of its listener, where that has a limit of its
/// own, and among all.
pub(crate) struct Places {
    _own: Option<Place>,
    _whole: Place,
}

impl Places {
    pub(crate) fn new(own: Option<Place>, whole: Place) -> Places {
        Places {
            _own: own,
            _whole: whole,
        }
    }
}

/// A place on its way to who waited for it.
struct Slot(Option<Arc<Admission>>);

impl Slot {
    /// It has arrived.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(admission) = self.0.take() {
            admission.leave();
        }
    }
}

/// A limit that nobody had to wait for this long is worth another warning.
const LEFT_FOR: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;

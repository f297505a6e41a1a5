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
/// finds no place waits in line, whichever worker accepted it.
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
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::pin::Pin;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn limit(connections: usize) -> Limit {
        Limit {
            connections,
            most: connections + 1,
            warning: String::new(),
        }
    }

    fn gate(connections: usize) -> Gate {
        Gate::new(Admission::new(limit(connections)))
    }

    type Entering<'a> = Pin<Box<dyn Future<Output = Place> + 'a>>;

    fn entering(gate: &Gate) -> Entering<'_> {
        Box::pin(gate.enter())
    }

    fn now(entering: &mut Entering<'_>) -> Option<Place> {
        match entering
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    /// A place that is there at once.
    fn entered(gate: &Gate) -> Place {
        now(&mut entering(gate)).unwrap()
    }

    /// Whether somebody who comes now has to wait.
    fn is_full(gate: &Gate) -> bool {
        now(&mut entering(gate)).is_none()
    }

    #[test]
    fn those_who_wait_are_let_in_in_their_order() {
        let gate = gate(2);
        let (first, second) = (entered(&gate), entered(&gate));
        let (mut third, mut fourth) = (entering(&gate), entering(&gate));
        assert!(now(&mut third).is_none());
        assert!(now(&mut fourth).is_none());
        assert_eq!((gate.0.open(), gate.0.waited()), (2, 2));
        drop(first);
        assert!(is_full(&gate), "no overtaking");
        assert!(now(&mut fourth).is_none(), "third's turn");
        let third = now(&mut third).unwrap();
        drop(second);
        let fourth = now(&mut fourth).unwrap();
        assert_eq!(gate.0.open(), 2);
        drop((third, fourth));
        assert_eq!(gate.0.open(), 0);
        drop(entered(&gate));
    }

    #[test]
    fn who_goes_away_while_waiting_leaves_no_count() {
        let gate = gate(1);
        let held = entered(&gate);
        let (mut gone, mut admitted) = (entering(&gate), entering(&gate));
        let mut last = entering(&gate);
        for waiting in [&mut gone, &mut admitted, &mut last] {
            assert!(now(waiting).is_none());
        }
        drop(gone);
        drop(held);
        // Its place is under way, and nobody is there to take it.
        drop(admitted);
        drop(now(&mut last).unwrap());
        assert_eq!(gate.0.open(), 0);
        drop(entered(&gate));
    }

    #[test]
    fn another_limit_lets_in_at_once_or_waits_for_the_surplus_to_leave() {
        let gate = gate(1);
        let first = entered(&gate);
        let mut second = entering(&gate);
        assert!(now(&mut second).is_none());
        gate.0.set_limit(limit(2));
        let second = now(&mut second).unwrap();
        gate.0.set_limit(limit(1));
        let mut third = entering(&gate);
        drop(first);
        assert!(now(&mut third).is_none(), "one is still in");
        drop(second);
        drop(now(&mut third).unwrap());
        assert_eq!(gate.0.open(), 0);
    }

    #[test]
    fn who_cannot_wait_is_let_in_while_there_are_files() {
        let gate = gate(1);
        let _in = entered(&gate);
        let beyond = gate.enter_now();
        assert!(beyond.is_some());
        assert!(gate.enter_now().is_none());
        assert_eq!(gate.0.open(), 2);
        drop(beyond);
        assert!(is_full(&gate), "the limit holds");
    }

    /// Counts the events that are logged.
    #[derive(Clone, Default)]
    struct EventCount(Arc<AtomicUsize>);

    impl tracing::Subscriber for EventCount {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, SeqCst);
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_warned_of_once_until_it_has_been_left_for_a_while() {
        let events = EventCount::default();
        let _logs = tracing::subscriber::set_default(events.clone());
        let gate = gate(1);
        let held = entered(&gate);
        let warnings = |waits: usize| {
            for _ in 0..waits {
                assert!(is_full(&gate));
            }
            events.0.load(SeqCst)
        };
        assert_eq!(warnings(0), 0);
        assert_eq!(warnings(3), 1, "once, not three times");
        for _ in 0..5 {
            tokio::time::advance(LEFT_FOR / 2).await;
            assert_eq!(warnings(1), 1, "it was never left");
        }
        tokio::time::advance(LEFT_FOR).await;
        assert_eq!(warnings(2), 2, "again");
        drop(held);
    }

    #[test]
    fn many_threads_never_exceed_the_limit_and_all_get_in() {
        const LIMIT: usize = 3;
        let admission = Admission::new(limit(LIMIT));
        let exceeded = AtomicBool::new(false);
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let gate = Gate::new(Arc::clone(&admission));
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.unwrap().block_on(async {
                        for _ in 0..500 {
                            // One that gives up, one that stays.
                            let mut gives_up = entering(&gate);
                            let early = now(&mut gives_up);
                            let mut place = entering(&gate);
                            let _ = now(&mut place).map(drop);
                            drop((gives_up, early));
                            let place = gate.enter().await;
                            if inside.fetch_add(1, SeqCst) >= LIMIT {
                                exceeded.store(true, SeqCst);
                            }
                            tokio::task::yield_now().await;
                            inside.fetch_sub(1, SeqCst);
                            drop(place);
                        }
                    });
                });
            }
        });
        assert!(!exceeded.load(SeqCst));
        assert_eq!((admission.open(), admission.limit()), (0, LIMIT));
    }
}

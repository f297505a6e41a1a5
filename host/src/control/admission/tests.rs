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
                        let mut stays = entering(&gate);
                        let at_once = now(&mut stays);
                        drop((gives_up, early));
                        let place = match at_once {
                            Some(place) => place,
                            None => stays.await,
                        };
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

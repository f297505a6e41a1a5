//! The counters of all workers there are, and the sums of those that are gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::metrics::Counters;
use crate::metrics::traffic::{TrafficNames, TrafficTotals};

/// The counters of all workers there are, and the sums of those that are gone: a
/// counter never falls, and a reload leaves nothing behind. What is counted by listener
/// and replica is there as long as any worker's plan names them: the current one, or that
/// of a connection which began before a reload. One that comes back begins at 0.
#[derive(Debug, Default)]
pub(crate) struct WorkerCounters(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    gone: Totals,
    workers: Vec<Arc<Counters>>,
}

/// What several workers counted.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(super) counters: Counters,
    pub(super) traffic: TrafficTotals,
}

impl Totals {
    /// Connections open now.
    pub(crate) fn active(&self) -> u64 {
        self.counters.active()
    }

    fn add(&mut self, worker: &Counters) {
        self.counters.add(worker);
        self.traffic.add(&worker.traffic);
    }
}

impl WorkerCounters {
    /// Counters for this many more workers, of a plan with these names. They are theirs
    /// until nobody holds them.
    pub(crate) fn add(&self, workers: usize, names: &Arc<TrafficNames>) -> Vec<Arc<Counters>> {
        let new = || Arc::new(Counters::of(Arc::clone(names)));
        let new: Vec<Arc<Counters>> = (0..workers).map(|_| new()).collect();
        self.kept().workers.extend(new.iter().cloned());
        new
    }

    /// The sums over all workers there ever were.
    pub(crate) fn total(&self) -> Totals {
        let kept = self.kept();
        let mut total = Totals::default();
        total.counters.add(&kept.gone.counters);
        total.traffic.add_totals(&kept.gone.traffic);
        for worker in &kept.workers {
            total.add(worker);
        }
        total
    }

    /// Takes leave of the workers whose counters nobody else holds any more.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { gone, workers } = &mut *kept;
        let before = workers.len();
        workers.retain_mut(|worker| match Arc::get_mut(worker) {
            Some(last) => {
                gone.add(last);
                false
            }
            None => true,
        });
        if workers.len() < before {
            let plans = workers.iter().map(|worker| &worker.traffic);
            gone.traffic.keep_known(plans);
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::Duration;

    use proxy_wasm_engine::Direction;

    use super::*;
    use crate::metrics::Reason;
    use crate::metrics::traffic::BytesTotal;

    fn names(replicas: &[&str]) -> Arc<TrafficNames> {
        Arc::new(TrafficNames::new([443], replicas.iter().copied()))
    }

    #[test]
    fn what_a_worker_counted_stays_when_it_is_gone() {
        let all = WorkerCounters::default();
        let names = Arc::default();
        let stays = all.add(1, &names);
        for _ in 0..1000 {
            let [worker] = &all.add(1, &names)[..] else {
                unreachable!("one was asked for")
            };
            worker.open().close(Reason::Idle, Duration::ZERO);
            worker.accept_errors.fetch_add(2, Relaxed);
        }
        stays[0].open().close(Reason::Idle, Duration::ZERO);
        let total = all.total().counters;
        assert_eq!(total.accepted.load(Relaxed), 1001);
        assert_eq!(total.accept_errors.load(Relaxed), 2000);
        assert_eq!(total.active(), 0);
        assert_eq!(
            all.kept().workers.len(),
            1,
            "those that are gone are forgotten"
        );
    }

    /// Moves a byte to a replica, on a connection of the only listener.
    fn serve(worker: &Counters, names: &TrafficNames, replica: &str) {
        let (listener, replica) = (names.listener(443), names.replica(replica));
        let traffic = &worker.traffic;
        let at = traffic.connected(listener, replica, Duration::ZERO);
        traffic.moved(at, Direction::Downstream, 1);
    }

    fn bytes(all: &WorkerCounters) -> Vec<(String, u64)> {
        let totals = all.total().traffic.bytes;
        let bytes = |((_, replica), bytes): ((u16, Arc<str>), BytesTotal)| {
            (replica.to_string(), bytes.to_replica)
        };
        totals.into_iter().map(bytes).collect()
    }

    #[test]
    fn traffic_is_kept_by_name_as_long_as_a_plan_has_it() {
        let all = WorkerCounters::default();
        let (first, second) = (names(&["r1", "r2"]), names(&["r2", "r3"]));
        let mut old = all.add(2, &first);
        serve(&old[0], &first, "r1");
        serve(&old[0], &first, "r2");
        serve(&old[1], &first, "r2");
        let new = all.add(2, &second);
        serve(&new[0], &second, "r2");
        let count = |name: &str, bytes| (name.to_owned(), bytes);
        let expected = [count("r1", 1), count("r2", 3), count("r3", 0)];
        assert_eq!(bytes(&all), expected);
        old.truncate(1);
        assert_eq!(
            bytes(&all),
            expected,
            "one of the old workers has connections"
        );
        drop(old);
        assert_eq!(bytes(&all), [count("r2", 3), count("r3", 0)]);

        let again = all.add(1, &first);
        drop(new);
        serve(&again[0], &first, "r1");
        assert_eq!(
            bytes(&all),
            [count("r1", 1), count("r2", 3)],
            "it begins at 0"
        );
    }
}

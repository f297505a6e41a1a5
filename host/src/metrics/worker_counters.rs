//! The counters of all workers there are, and the sums of those that are gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::metrics::Counters;

/// The counters of all workers there are, and the sums of those that are gone: a
/// counter never falls, and a reload leaves nothing behind.
#[derive(Debug, Default)]
pub(crate) struct WorkerCounters(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    gone: Counters,
    workers: Vec<Arc<Counters>>,
}

impl WorkerCounters {
    /// Counters for this many more workers. They are theirs until nobody holds them.
    pub(crate) fn add(&self, workers: usize) -> Vec<Arc<Counters>> {
        let new: Vec<Arc<Counters>> = (0..workers).map(|_| Arc::default()).collect();
        self.kept().workers.extend(new.iter().cloned());
        new
    }

    /// The sums over all workers there ever were.
    pub(crate) fn total(&self) -> Arc<Counters> {
        let kept = self.kept();
        let total = Counters::default();
        total.add(&kept.gone);
        for worker in &kept.workers {
            total.add(worker);
        }
        Arc::new(total)
    }

    /// Takes leave of the workers whose counters nobody else holds any more.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { gone, workers } = &mut *kept;
        workers.retain_mut(|worker| match Arc::get_mut(worker) {
            Some(last) => {
                gone.add(last);
                false
            }
            None => true,
        });
        kept
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;
    use crate::metrics::Reason;

    #[test]
    fn what_a_worker_counted_stays_when_it_is_gone() {
        let all = WorkerCounters::default();
        let stays = all.add(1);
        for _ in 0..1000 {
            let [worker] = &all.add(1)[..] else {
                unreachable!("one was asked for")
            };
            worker.open().close(Reason::Idle);
            worker.accept_errors.fetch_add(2, Relaxed);
        }
        stays[0].open().close(Reason::Idle);
        let total = all.total();
        assert_eq!(total.accepted.load(Relaxed), 1001);
        assert_eq!(total.accept_errors.load(Relaxed), 2000);
        assert_eq!(total.active(), 0);
        assert_eq!(
            all.kept().workers.len(),
            1,
            "those that are gone are forgotten"
        );
    }
}

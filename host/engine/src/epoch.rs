//! The clock by which the time of a callback is limited.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::EngineWeak;

/// Moves the epoch on, by which guests' time is limited.
#[derive(Default)]
pub(super) struct EpochClock {
    ticker: Arc<EpochTicker>,
}

impl EpochClock {
    /// Starts the clock's thread, which sleeps until a VM needs it.
    pub(super) fn start(engine: &wasmtime::Engine) -> std::io::Result<Arc<EpochClock>> {
        let clock = Arc::new(EpochClock::default());
        let (engine, ticker) = (engine.weak(), clock.ticker.clone());
        std::thread::Builder::new()
            .name("vm-clock".to_owned())
            .spawn(move || ticker.run(&engine))?;
        Ok(clock)
    }

    /// The clock ticks until the guard is dropped.
    pub(super) fn keep(clock: &Arc<EpochClock>) -> ClockGuard {
        clock.ticker.add();
        ClockGuard(clock.clone())
    }
}

#[derive(Default)]
struct EpochTicker {
    /// How many VMs there are; without one nothing ticks.
    vms: Mutex<usize>,
    changed: Condvar,
    stopped: AtomicBool,
}

impl EpochTicker {
    fn add(&self) {
        *self.vms.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_one();
    }

    fn remove(&self) {
        *self.vms.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }

    fn run(&self, engine: &EngineWeak) {
        loop {
            {
                let mut vms = self.vms.lock().unwrap_or_else(PoisonError::into_inner);
                while *vms == 0 && !self.stopped.load(Ordering::Relaxed) {
                    vms = self
                        .changed
                        .wait(vms)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
            let Some(engine) = engine.upgrade() else {
                return;
            };
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    }
}

impl Drop for EpochClock {
    fn drop(&mut self) {
        self.ticker.stopped.store(true, Ordering::Relaxed);
        // Under the lock, so that the thread is not just about to wait.
        let _vms = self
            .ticker
            .vms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.ticker.changed.notify_all();
    }
}

/// Keeps the clock ticking, also after the last [`Engine`] is dropped.
pub(super) struct ClockGuard(Arc<EpochClock>);

impl Drop for ClockGuard {
    fn drop(&mut self) {
        self.0.ticker.remove();
    }
}

/// How many ticks a callback may take to keep within `limit`.
pub(super) fn ticks(limit: Duration) -> u64 {
    // One more, since the first may come at once.
    (limit.as_nanos().div_ceil(TICK.as_nanos()) as u64).saturating_add(1)
}

/// How often the epoch moves.
const TICK: Duration = Duration::from_millis(10);

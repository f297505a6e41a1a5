//! How long to wait before a VM that failed is replaced.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// How long to wait before the next VM: doubles with each failure, is reset by
/// a quiet time, and varies so that workers do not start in step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    base: Duration,
    step: u32,
    last: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(base: Duration) -> Backoff {
        Backoff {
            base,
            step: 0,
            last: None,
        }
    }

    pub(crate) fn next(&mut self, now: Instant) -> Duration {
        if self
            .last
            .is_some_and(|last| now.duration_since(last) > QUIET)
        {
            self.step = 0;
        }
        let delay = self
            .base
            .saturating_mul(1 << self.step.min(16))
            .min(MOST_BACKOFF);
        self.step += 1;
        self.last = Some(now);
        let jitter = RandomState::new().hash_one(self.step) as f64 / u64::MAX as f64;
        delay.mul_f64(1.0 + jitter / 2.0)
    }
}

const MOST_BACKOFF: Duration = Duration::from_secs(30);
/// Without a failure for so long, the next one is a first one.
const QUIET: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_and_forgets() {
        let mut backoff = Backoff::new(Duration::from_secs(1));
        let mut now = Instant::now();
        for (nth, least) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            let delay = backoff.next(now);
            let least = Duration::from_secs(least);
            assert!(
                (least..=least.mul_f64(1.5)).contains(&delay),
                "failure {nth} waits {delay:?}, not {least:?} and up to half more"
            );
            now += delay;
        }
        let delay = backoff.next(now + QUIET * 2);
        assert!(
            delay <= Duration::from_millis(1500),
            "after a quiet time {delay:?}"
        );
    }
}

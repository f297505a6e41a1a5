//! Waiting for an event, with a limit.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Waits for one thing that should happen by itself.
#[track_caller]
pub(crate) fn within<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        match timeout(LIMIT, future).await {
            Ok(done) => done,
            Err(_) => panic!("{caller}: waited {LIMIT:?} for {what}"),
        }
    }
}

/// Looks again and again until `look` returns `Ok`; `Err` has what it saw instead.
#[track_caller]
pub(crate) fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let limit = Instant::now() + LIMIT;
        loop {
            let seen = match look().await {
                Ok(found) => return found,
                Err(seen) => seen,
            };
            assert!(
                Instant::now() < limit,
                "{caller}: waited {LIMIT:?} for {what}; last seen: {seen}"
            );
            sleep(PAUSE).await;
        }
    }
}

/// Longest wait for what should take a moment; only a failing test waits so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// How long a host may take to start: it compiles the filter.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

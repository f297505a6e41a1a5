//! Waiting for an event instead of a time.

use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long a story waits for what should take a moment: generous, since a busy
/// machine is slow, and only a failing story waits so long.
pub const LIMIT: Duration = Duration::from_secs(20);

/// How long a proxy may take to start: it compiles the filter.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(60);

/// Looks again and again until `look` returns `Ok`.
///
/// `look` returns `Err` with what it saw instead.
///
/// # Panics
/// After `limit`, with what was waited for and what was seen last.
#[track_caller]
pub fn eventually<T, L>(limit: Duration, what: impl Display, mut look: L) -> impl Future<Output = T>
where
    L: AsyncFnMut() -> Result<T, String>,
{
    let caller = Location::caller();
    async move {
        let started = Instant::now();
        let mut last = None;
        loop {
            // A look that hangs must not outlive the limit either.
            let left = limit.saturating_sub(started.elapsed());
            match timeout(left, look()).await {
                Ok(Ok(found)) => return found,
                Ok(Err(seen)) => last = Some(seen),
                Err(_) => {}
            }
            if started.elapsed() >= limit {
                let last = last.unwrap_or_else(|| "nothing, the look hung".to_owned());
                panic!("{caller}: waited {limit:?} for {what}; last seen: {last}");
            }
            sleep(PAUSE).await;
        }
    }
}

/// Waits for one thing that should happen by itself.
///
/// # Panics
/// After [`LIMIT`], with what was waited for.
#[track_caller]
pub fn within<T>(what: impl Display, future: impl Future<Output = T>) -> impl Future<Output = T> {
    within_limit(LIMIT, what, future)
}

/// Waits for one thing that should happen by itself, and may take long.
#[track_caller]
pub(crate) fn within_limit<T>(
    limit: Duration,
    what: impl Display,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        match timeout(limit, future).await {
            Ok(done) => done,
            Err(_) => panic!("{caller}: waited {limit:?} for {what}"),
        }
    }
}

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::{Duration, eventually};

    #[tokio::test]
    async fn what_comes_late_is_found() {
        let mut looks = 0;
        let found = eventually(Duration::from_secs(5), "the third look", async || {
            looks += 1;
            if looks == 3 {
                Ok(looks)
            } else {
                Err(looks.to_string())
            }
        });
        assert_eq!(found.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "for rain; last seen: sun")]
    async fn what_never_comes_fails_with_what_was_seen_instead() {
        let limit = Duration::from_millis(30);
        eventually::<(), _>(limit, "rain", async || Err("sun".to_owned())).await;
    }

    #[tokio::test]
    #[should_panic(expected = "for rain; last seen: nothing, the look hung")]
    async fn a_look_that_hangs_does_not_outlive_the_limit() {
        let limit = Duration::from_millis(30);
        eventually::<(), _>(limit, "rain", async || std::future::pending().await).await;
    }
}

//! The idle timeout of a connection.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Watches for silence without touching the timer at each byte.
pub(super) struct Idle {
    limit: Duration,
    last: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Idle {
    pub(super) fn new(limit: Duration) -> Idle {
        Idle {
            limit,
            last: Instant::now(),
            alarm: Box::pin(tokio::time::sleep(limit)),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, active: bool) -> Poll<()> {
        if active {
            self.last = Instant::now();
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            let end = self.last + self.limit;
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(end);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn activity_puts_the_timeout_off_by_its_whole_length() {
        let began = Instant::now();
        let mut idle = Idle::new(LIMIT);
        let pause = Duration::from_secs(50);
        for _ in 0..3 {
            tokio::time::sleep(pause).await;
            let active = poll_fn(|cx| Poll::Ready(idle.poll(cx, true))).await;
            assert!(active.is_pending(), "ended within {LIMIT:?} of activity");
        }
        poll_fn(|cx| idle.poll(cx, false)).await;
        let (took, expected) = (began.elapsed(), pause * 3 + LIMIT);
        assert!(
            (expected..expected + Duration::from_secs(1)).contains(&took),
            "ended after {took:?}, not {expected:?}"
        );
    }
}

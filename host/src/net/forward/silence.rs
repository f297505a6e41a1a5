//! How long a connection has been silent.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::control::sessions::LASTS_WITHIN;

/// Watches for silence without touching the timer at each byte.
#[derive(Default)]
pub(super) struct Silence {
    limit: Option<Duration>,
    since: Option<Instant>,
    /// Present once there has been a limit.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// Whether anything went on since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    None,
    Some,
}

/// How a connection is watched while nothing happens. Most are over before that matters,
/// and a timer costs as much as a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// Not for what takes longer than until it is found to last.
    Short,
    Lasting,
}

impl Silence {
    /// Ready once it has lasted for the limit; another limit than last time begins
    /// anew.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        limit: Option<Duration>,
        activity: Activity,
        watch: Watch,
    ) -> Poll<()> {
        let changed = std::mem::replace(&mut self.limit, limit) != limit;
        let Some(limit) = limit else {
            return Poll::Pending;
        };
        if changed || activity == Activity::Some {
            self.since = Some(Instant::now());
        }
        if watch == Watch::Short && limit >= LASTS_WITHIN {
            // Looked at again by then.
            return Poll::Pending;
        }
        let end = self.since.unwrap_or_else(Instant::now) + limit;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if changed {
            alarm.as_mut().reset(end);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let end = self.since.unwrap_or(now) + limit;
            if end <= now {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(end);
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
    async fn activity_puts_the_end_off_by_the_whole_limit() {
        let began = Instant::now();
        let mut silence = Silence::default();
        let pause = Duration::from_secs(50);
        for _ in 0..3 {
            tokio::time::sleep(pause).await;
            let mut look = |cx: &mut Context<'_>| {
                silence.poll(cx, Some(LIMIT), Activity::Some, Watch::Lasting)
            };
            let active = poll_fn(|cx| Poll::Ready(look(cx))).await;
            assert!(active.is_pending(), "ended within {LIMIT:?} of activity");
        }
        poll_fn(|cx| silence.poll(cx, Some(LIMIT), Activity::None, Watch::Lasting)).await;
        expect(began, pause * 3 + LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn another_limit_counts_from_when_it_was_set() {
        let began = Instant::now();
        let mut silence = Silence::default();
        let pause = Duration::from_secs(50);
        for limit in [Some(LIMIT), None, Some(LIMIT * 2)] {
            let mut look =
                |cx: &mut Context<'_>| silence.poll(cx, limit, Activity::None, Watch::Lasting);
            assert!(poll_fn(|cx| Poll::Ready(look(cx))).await.is_pending());
            tokio::time::sleep(pause).await;
        }
        poll_fn(|cx| silence.poll(cx, Some(LIMIT * 2), Activity::None, Watch::Lasting)).await;
        expect(began, pause * 2 + LIMIT * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_begins_when_the_connection_lasts_and_counts_from_the_last_activity() {
        let began = Instant::now();
        let mut silence = Silence::default();
        for activity in [Activity::Some, Activity::None] {
            let mut look =
                |cx: &mut Context<'_>| silence.poll(cx, Some(LIMIT), activity, Watch::Short);
            assert!(poll_fn(|cx| Poll::Ready(look(cx))).await.is_pending());
            assert!(silence.alarm.is_none(), "a timer for a short connection");
            tokio::time::sleep(LASTS_WITHIN / 2).await;
        }
        poll_fn(|cx| silence.poll(cx, Some(LIMIT), Activity::None, Watch::Lasting)).await;
        expect(began, LIMIT);
        let short = LASTS_WITHIN - Duration::from_secs(1);
        poll_fn(|cx| silence.poll(cx, Some(short), Activity::None, Watch::Short)).await;
        expect(began, LIMIT + short);
    }

    fn expect(began: Instant, expected: Duration) {
        let took = began.elapsed();
        assert!(
            (expected..expected + Duration::from_secs(1)).contains(&took),
            "ended after {took:?}, not {expected:?}"
        );
    }
}

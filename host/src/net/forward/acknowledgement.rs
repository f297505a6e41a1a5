//! What a side has not acknowledged of what it was sent.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A wait until a side has acknowledged all it was sent: a reset discards the rest.
#[derive(Default)]
pub(super) struct Acknowledgement {
    /// What it has not, while that is waited for.
    rest: usize,
    /// In a box: hardly any connection has one.
    recheck: Option<Box<Recheck>>,
}

/// When to look again.
struct Recheck {
    sleep: Pin<Box<Sleep>>,
    pause: Duration,
}

impl Acknowledgement {
    /// Ready when this many bytes, which are not acknowledged now, are none. There is no
    /// event for it: the task is woken every so often.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, rest: usize) -> Poll<()> {
        self.rest = rest;
        if rest == 0 {
            return Poll::Ready(());
        }
        let recheck = self.recheck.get_or_insert_with(|| {
            Box::new(Recheck {
                sleep: Box::pin(sleep(RECHECKS.0)),
                pause: RECHECKS.0,
            })
        });
        while recheck.sleep.as_mut().poll(cx).is_ready() {
            recheck.pause = (recheck.pause * 2).min(RECHECKS.1);
            let next = Instant::now() + recheck.pause;
            recheck.sleep.as_mut().reset(next);
        }
        Poll::Pending
    }

    /// What was not acknowledged at the last look.
    pub(super) fn rest(&self) -> usize {
        self.rest
    }
}

/// Between two looks: at first, and at most.
const RECHECKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

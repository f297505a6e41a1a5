//! Panics that end no more than they must.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Once;
use std::task::Poll;

/// A panic that was caught; shows its message and its place.
pub(crate) struct CaughtPanic {
    message: String,
    /// File, line and column.
    place: Option<String>,
}

impl CaughtPanic {
    /// Has every panic of the process note its place: who catches it can't know it.
    /// What the process does with a panic otherwise, it still does.
    pub(crate) fn note_places() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let usual = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let place = info.location().map(ToString::to_string);
                // A thread that ends has no place to note it.
                let _ = LAST_PLACE.try_with(|last| last.replace(place));
                usual(info);
            }));
        });
    }

    /// Runs a function.
    ///
    /// # Errors
    /// When it panics. What it works on must be usable afterwards.
    pub(crate) fn catch<R>(run: impl FnOnce() -> R) -> Result<R, CaughtPanic> {
        catch_unwind(AssertUnwindSafe(run)).map_err(|payload| CaughtPanic::of(&*payload))
    }

    /// Awaits a future.
    ///
    /// # Errors
    /// When it panics; it must not be polled again.
    pub(crate) fn catch_async<F: Future>(
        mut future: Pin<&mut F>,
    ) -> impl Future<Output = Result<F::Output, CaughtPanic>> {
        poll_fn(
            move |cx| match CaughtPanic::catch(|| future.as_mut().poll(cx)) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            },
        )
    }

    fn of(payload: &(dyn Any + Send)) -> CaughtPanic {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
        CaughtPanic {
            message: message.unwrap_or_else(|| "without a message".to_owned()),
            place: LAST_PLACE.take(),
        }
    }
}

impl fmt::Display for CaughtPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} at {place}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

thread_local! {
    /// Of the last panic of this thread.
    static LAST_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

//! Panics that end no more than they must.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// A panic that was caught; shows its message.
pub(crate) struct CaughtPanic(String);

impl CaughtPanic {
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
    pub(crate) async fn catch_async<F: Future>(
        mut future: Pin<&mut F>,
    ) -> Result<F::Output, CaughtPanic> {
        poll_fn(|cx| match CaughtPanic::catch(|| future.as_mut().poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        })
        .await
    }

    fn of(payload: &(dyn Any + Send)) -> CaughtPanic {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
        CaughtPanic(message.unwrap_or_else(|| "without a message".to_owned()))
    }
}

impl fmt::Display for CaughtPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

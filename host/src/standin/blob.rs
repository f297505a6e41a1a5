//! A body of any size that is never held in memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Bytes of a fixed pattern: the byte at position `n` is `n % 251`.
pub(super) struct Blob {
    left: u64,
    chunk: Bytes,
}

impl Blob {
    pub(super) fn of(size: u64) -> Self {
        let pattern = (0..PERIOD).cycle().take(usize::from(PERIOD) * PERIODS);
        Self {
            left: size,
            chunk: pattern.collect(),
        }
    }
}

impl Body for Blob {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let most = self.chunk.len();
        let size = usize::try_from(self.left).map_or(most, |left| left.min(most));
        self.left -= size as u64;
        Poll::Ready(Some(Ok(Frame::data(self.chunk.slice(..size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

const PERIOD: u8 = 251;
/// Whole periods in a chunk, so that each starts where the last one ended.
const PERIODS: usize = 256;

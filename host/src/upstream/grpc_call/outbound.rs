//! What a filter sends in a gRPC call, and how much of it may wait.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::frame::encode;

/// The sending end of a call: the filter's.
pub(crate) struct Outbound {
    messages: UnboundedSender<Bytes>,
    /// Bytes the upstream has not taken yet.
    waiting: Arc<AtomicUsize>,
}

/// More waits than a filter may leave to its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl Outbound {
    /// Sends one message; to a call that is over it goes nowhere.
    ///
    /// # Errors
    /// When the upstream does not keep up and too much waits for it already.
    pub(crate) fn send(&self, message: &[u8]) -> Result<(), TooMuch> {
        // The first may have any size: it fits into the VM's memory.
        if self.waiting.load(Relaxed) > MAX_WAITING {
            return Err(TooMuch);
        }
        let frame = encode(message);
        self.waiting.fetch_add(frame.len(), Relaxed);
        // An error means that the call is over.
        let _ = self.messages.send(frame);
        Ok(())
    }
}

/// What is sent, as a request's body; it ends when the [`Outbound`] is dropped.
pub(crate) struct Outgoing {
    messages: UnboundedReceiver<Bytes>,
    waiting: Arc<AtomicUsize>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.messages.poll_recv(cx);
        if let Poll::Ready(Some(message)) = &next {
            self.waiting.fetch_sub(message.len(), Relaxed);
        }
        next.map(|message| message.map(|message| Ok(Frame::data(message))))
    }
}

/// Both ends of what a filter sends.
pub(crate) fn outbound() -> (Outbound, Outgoing) {
    let (sender, messages) = unbounded_channel();
    let waiting = Arc::<AtomicUsize>::default();
    let outbound = Outbound {
        messages: sender,
        waiting: Arc::clone(&waiting),
    };
    (outbound, Outgoing { messages, waiting })
}

/// Bytes that may wait for a peer that does not take them, before another message.
const MAX_WAITING: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_takes_nothing_does_not_fill_the_hosts_memory() {
        let (outbound, outgoing) = outbound();
        let message = vec![0; 1 << 20];
        let sent = (0..100).take_while(|_| outbound.send(&message).is_ok());
        assert_eq!(sent.count(), 16, "16 MiB may wait");
        assert_eq!(outbound.send(b""), Err(TooMuch));
        drop(outgoing);
    }
}

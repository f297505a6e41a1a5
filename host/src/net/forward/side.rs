//! One side of a connection: the client's socket, or the replica's.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;

use crate::net::socket::{keep_alive, reset_on_close, unacknowledged};

/// One side of a connection. What becomes of each way is decided from what its two
/// sides can still do; a socket that fails can do less, but what it received before
/// is still read: a reset on Linux leaves the receive queue as it is.
pub(super) struct Side<'a> {
    pub(super) socket: &'a TcpStream,
    pub(super) input: Input,
    pub(super) output: Output,
    /// Whether the end of its input is next.
    at_end: bool,
    no_delay: NoDelay,
    hang_up: Option<HangUp<'a>>,
}

/// Whether Nagle's algorithm is off. It holds back what is short while something before
/// it is not acknowledged, so it matters from the second write on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoDelay {
    Set,
    /// To be set, but not for the first write: there may be no other.
    AfterFirstWrite,
    /// To be set for the next write.
    Due,
}

/// What a side still sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// More may come.
    Open,
    /// It has finished: its FIN was read.
    Finished,
    /// Its connection was lost before it had finished.
    Broken,
}

/// What a side still takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// More may be sent to it.
    Open,
    /// The FIN is sent.
    Shut,
    /// It takes no more, and had finished sending when it said so.
    Closed,
    /// Its connection is lost: reset, or nobody answers at the other end.
    Lost,
}

/// A wait for the failure of a socket.
type HangUp<'a> = Pin<Box<dyn Future<Output = io::Result<Ready>> + 'a>>;

impl<'a> Side<'a> {
    pub(super) fn new(socket: &'a TcpStream, no_delay: NoDelay) -> Side<'a> {
        Side {
            socket,
            input: Input::Open,
            output: Output::Open,
            at_end: false,
            no_delay,
            hang_up: None,
        }
    }

    /// Reads what there is; 0 bytes: it sends no more.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, chunk: &mut [u8]) -> Poll<usize> {
        let socket = self.socket;
        if self.at_end {
            return Poll::Ready(self.received(Ok(0)));
        }
        let length = chunk.len();
        let (read, has_ended) = loop {
            if let Err(error) = ready!(socket.poll_read_ready(cx)) {
                break (Err(error), false);
            }
            let has_ended = has_ended(socket);
            let read = || Ok(recv(socket, &mut *chunk, RecvFlags::empty())?.0);
            if let Some(read) = attempt(socket, Interest::READABLE, length, read) {
                break (read, has_ended);
            }
        };
        let bytes = self.received(read);
        // The FIN was there before the read, and is behind what it left nothing of.
        self.at_end = has_ended && 0 < bytes && bytes < length;
        Poll::Ready(bytes)
    }

    /// Writes what it takes; nothing was written when it is gone.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<usize> {
        self.prepare_write();
        let socket = self.socket;
        let sent = loop {
            if let Err(error) = ready!(socket.poll_write_ready(cx)) {
                break Err(error);
            }
            let write = || Ok(send(socket, bytes, SendFlags::NOSIGNAL)?);
            if let Some(sent) = attempt(socket, Interest::WRITABLE, bytes.len(), write) {
                break sent;
            }
        };
        Poll::Ready(self.sent(sent))
    }

    /// To be called before each write.
    pub(super) fn prepare_write(&mut self) {
        self.no_delay = match self.no_delay {
            NoDelay::AfterFirstWrite => NoDelay::Due,
            NoDelay::Due => {
                // Fails only on a socket that is gone already.
                let _ = self.socket.set_nodelay(true);
                NoDelay::Set
            }
            NoDelay::Set => NoDelay::Set,
        };
    }

    /// Takes in how a read went. After a failed write the queue ends with what looks
    /// like a FIN, since that write reported the reset instead.
    pub(super) fn received(&mut self, read: io::Result<usize>) -> usize {
        match read {
            Ok(0) if self.output == Output::Lost => self.input = Input::Broken,
            Ok(0) => self.input = Input::Finished,
            Ok(bytes) => return bytes,
            Err(_) => {
                self.input = Input::Broken;
                self.output = Output::Lost;
            }
        }
        0
    }

    /// Takes in how a write went. Linux says `EPIPE` of a peer that was reset after
    /// its FIN had come, and `ECONNRESET` of one that was reset before.
    pub(super) fn sent(&mut self, sent: io::Result<usize>) -> usize {
        match sent {
            Ok(bytes) => return bytes,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.output = Output::Closed;
            }
            Err(_) => self.output = Output::Lost,
        }
        0
    }

    /// Sends the FIN, unless that has been done or can't be.
    pub(super) fn finish(&mut self) {
        if self.output == Output::Open {
            // Fails only on a socket that is gone already; reading from it says so.
            let _ = shutdown(self.socket, Shutdown::Write);
            self.output = Output::Shut;
        }
    }

    /// Has the kernel notice that the other end vanished.
    pub(super) fn keep_alive(&self) {
        // Fails only on a socket that is gone already.
        let _ = keep_alive(self.socket);
    }

    /// Makes the close of its socket a reset.
    pub(super) fn reset(&self) {
        reset_on_close(self.socket);
    }

    /// Notices that a side that has finished is gone: nobody reads from it any more,
    /// so no read would say so. Wakes the task then.
    pub(super) fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.input == Input::Open || self.is_gone() {
            return Poll::Pending;
        }
        let socket = self.socket;
        let hang_up = self
            .hang_up
            .get_or_insert_with(|| Box::pin(socket.ready(Interest::ERROR)));
        // What fails is the wait: the runtime ends.
        let _ = ready!(hang_up.as_mut().poll(cx));
        self.output = Output::Closed;
        self.hang_up = None;
        Poll::Ready(())
    }

    /// Whether nothing can be sent to it any more.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.output, Output::Closed | Output::Lost)
    }

    /// How many of the bytes sent to it have not been acknowledged. For one that was
    /// reset: how many never were.
    pub(super) fn unacknowledged(&self) -> usize {
        unacknowledged(self.socket)
    }
}

/// Whether the last event said that the FIN has come, and no reset: whatever is to be
/// read is here.
fn has_ended(socket: &TcpStream) -> bool {
    let ready = pin!(socket.ready(Interest::READABLE | Interest::ERROR));
    let ready = ready.poll(&mut Context::from_waker(Waker::noop()));
    matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed() && !ready.is_error())
}

/// Tries to move up to `length` bytes; `None`: the socket is not ready after all.
/// After moving fewer it is not taken for ready: another try would only say so.
fn attempt(
    socket: &TcpStream,
    interest: Interest,
    length: usize,
    mut io: impl FnMut() -> io::Result<usize>,
) -> Option<io::Result<usize>> {
    let mut partial = None;
    let outcome = socket.try_io(interest, || match io() {
        Ok(moved) if 0 < moved && moved < length => {
            partial = Some(moved);
            Err(io::ErrorKind::WouldBlock.into())
        }
        other => other,
    });
    match (partial, outcome) {
        (Some(moved), _) => Some(Ok(moved)),
        (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
        // The loop that calls this tries again.
        (None, Err(error)) if error.kind() == io::ErrorKind::Interrupted => None,
        (None, outcome) => Some(outcome),
    }
}

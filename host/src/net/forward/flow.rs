//! One way of a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::hooks::{DataCallbacks, ForwardHooks};
use crate::net::pipe::{Buffers, Pipe};
use proxy_wasm_engine::{Action, Direction, End};

/// One way of a connection.
pub(super) struct Flow {
    direction: Direction,
    pub(super) state: State,
    pub(super) shown: DataCallbacks,
    /// Read, not yet let go by the guest.
    held: BytesMut,
    /// Let go, not yet taken by the other side.
    pub(super) unsent: BytesMut,
    /// Present while it holds bytes, or within one poll.
    pipe: Option<Pipe>,
    /// Bytes moved lately; halves each time the stream runs dry.
    pace: usize,
    pub(super) moved: u64,
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// More may come.
    Open,
    /// The end was read; something is still to be sent.
    Ended,
    /// All is sent but the FIN.
    Sent,
    /// The FIN is sent too.
    Shut,
}

/// The side whose socket failed.
pub(super) enum Side {
    From,
    To,
}

/// The two sockets of a flow.
pub(super) struct Ends<'a, 'b> {
    pub(super) from: &'a mut ReadHalf<'b>,
    pub(super) to: &'a mut WriteHalf<'b>,
}

impl Flow {
    pub(super) fn new(direction: Direction) -> Flow {
        Flow {
            direction,
            state: State::Open,
            shown: DataCallbacks::None,
            held: BytesMut::new(),
            unsent: BytesMut::new(),
            pipe: None,
            pace: 0,
            moved: 0,
        }
    }

    /// Moves what can be moved now, within a turn's share of the worker.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, '_>,
        buffers: &Buffers,
        tap: &impl ForwardHooks,
    ) -> Result<(), Side> {
        let limit = self.moved + TURN;
        while self.moved < limit {
            if !self.send(cx, ends, tap)? {
                return Ok(());
            }
            match self.state {
                State::Ended if self.held.is_empty() => {
                    self.state = State::Sent;
                    return Ok(());
                }
                State::Open if self.held.len() < MOST_HELD => {}
                _ => return Ok(()),
            }
            let read = if self.worth_a_pipe() && self.hold_a_pipe(buffers) {
                let spliced = self.splice(cx, ends.from);
                if let Poll::Ready(Ok(bytes)) = spliced {
                    tap.took(self.direction, bytes);
                }
                spliced
            } else {
                self.copy(cx, ends, buffers, tap)?
            };
            match read {
                Poll::Ready(Ok(0)) => self.end(buffers, tap),
                Poll::Ready(Ok(bytes)) => self.pace = (self.pace + bytes).min(MOST_PACE),
                Poll::Ready(Err(_)) => return Err(Side::From),
                Poll::Pending => {
                    self.pace /= 2;
                    self.leave_pipe(buffers);
                    return Ok(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Sends what was let go before; `false`: the other side takes no more now.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, '_>,
        tap: &impl ForwardHooks,
    ) -> Result<bool, Side> {
        while !self.unsent.is_empty() {
            match Pin::new(&mut *ends.to).poll_write(cx, &self.unsent) {
                Poll::Ready(Ok(sent)) => {
                    self.unsent.advance(sent);
                    self.count(sent, tap);
                }
                Poll::Ready(Err(_)) => return Err(Side::To),
                Poll::Pending => return Ok(false),
            }
            if self.unsent.is_empty() {
                self.unsent = BytesMut::new();
            }
        }
        while let Some(pipe) = self.pipe.as_mut().filter(|pipe| !pipe.is_empty()) {
            match poll_pour(cx, pipe, ends.to.as_ref()) {
                Poll::Ready(Ok(sent)) => self.count(sent, tap),
                Poll::Ready(Err(_)) => return Err(Side::To),
                Poll::Pending => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Reads a chunk and writes it at once; keeps what the other side leaves.
    fn copy(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, '_>,
        buffers: &Buffers,
        tap: &impl ForwardHooks,
    ) -> Result<Poll<io::Result<usize>>, Side> {
        let mut chunk = buffers.chunk.borrow_mut();
        let mut chunk = ReadBuf::new(&mut chunk);
        match Pin::new(&mut *ends.from).poll_read(cx, &mut chunk) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Ok(Poll::Ready(Err(error))),
            Poll::Pending => return Ok(Poll::Pending),
        }
        let read = chunk.filled();
        if read.is_empty() {
            return Ok(Poll::Ready(Ok(0)));
        }
        tap.took(self.direction, read.len());
        if self.shown != DataCallbacks::None {
            self.held.extend_from_slice(read);
            self.show(End::More, tap);
            return Ok(Poll::Ready(Ok(read.len())));
        }
        let sent = match Pin::new(&mut *ends.to).poll_write(cx, read) {
            Poll::Ready(Ok(sent)) => sent,
            Poll::Ready(Err(_)) => return Err(Side::To),
            Poll::Pending => 0,
        };
        self.count(sent, tap);
        if sent < read.len() {
            self.unsent.extend_from_slice(&read[sent..]);
        }
        Ok(Poll::Ready(Ok(read.len())))
    }

    fn splice(&mut self, cx: &mut Context<'_>, from: &ReadHalf<'_>) -> Poll<io::Result<usize>> {
        let Some(pipe) = self.pipe.as_mut() else {
            return Poll::Pending;
        };
        let from: &TcpStream = from.as_ref();
        loop {
            ready!(from.poll_read_ready(cx))?;
            match from.try_io(Interest::READABLE, || pipe.fill(from)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Poll::Ready(other),
            }
        }
    }

    /// The other end finished.
    fn end(&mut self, buffers: &Buffers, tap: &impl ForwardHooks) {
        self.state = State::Ended;
        self.leave_pipe(buffers);
        if self.shown == DataCallbacks::None {
            tap.ended(self.direction);
        } else {
            self.show(End::Last, tap);
        }
    }

    fn show(&mut self, end: End, tap: &impl ForwardHooks) {
        if tap.data(self.direction, &mut self.held, end) == Action::Continue {
            self.release();
            if self.shown == DataCallbacks::First || !tap.wants_more(self.direction) {
                self.shown = DataCallbacks::None;
            }
        }
    }

    pub(super) fn resume(&mut self, tap: &impl ForwardHooks) {
        let end = match self.state {
            State::Open => End::More,
            State::Ended | State::Sent | State::Shut => End::Last,
        };
        if tap.resumed(self.direction, &mut self.held, end) == Some(Action::Continue) {
            self.release();
        }
    }

    fn release(&mut self) {
        if self.unsent.is_empty() {
            self.unsent = std::mem::take(&mut self.held);
        } else {
            self.unsent
                .extend_from_slice(&std::mem::take(&mut self.held));
        }
    }

    pub(super) fn shut(&mut self, to: &TcpStream) {
        // Fails only on a socket that is gone already; reading from it says so.
        let _ = rustix::net::shutdown(to, rustix::net::Shutdown::Write);
        self.state = State::Shut;
    }

    fn worth_a_pipe(&self) -> bool {
        self.pace >= SPLICE_FROM && self.shown == DataCallbacks::None
    }

    fn hold_a_pipe(&mut self, buffers: &Buffers) -> bool {
        if self.pipe.is_none() {
            self.pipe = buffers.take_pipe();
        }
        self.pipe.is_some()
    }

    pub(super) fn leave_pipe(&mut self, buffers: &Buffers) {
        if let Some(pipe) = self.pipe.take_if(|pipe| pipe.is_empty()) {
            buffers.give_back(pipe);
        }
    }

    fn count(&mut self, bytes: usize, tap: &impl ForwardHooks) {
        self.moved += bytes as u64;
        tap.moved(self.direction, bytes);
    }
}

fn poll_pour(cx: &mut Context<'_>, pipe: &mut Pipe, to: &TcpStream) -> Poll<io::Result<usize>> {
    loop {
        ready!(to.poll_write_ready(cx))?;
        match to.try_io(Interest::WRITABLE, || pipe.pour(to)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return Poll::Ready(other),
        }
    }
}

/// Bytes one way may move before other connections get their turn.
const TURN: u64 = 512 * 1024;
/// Bytes the guest may hold back before the client is read no further.
pub(crate) const MOST_HELD: usize = 1024 * 1024;
/// The pace from which a stream is spliced.
const SPLICE_FROM: usize = 128 * 1024;
/// Bounds how long a stream that has been fast is taken for fast.
const MOST_PACE: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_given_back_when_a_stream_runs_dry() {
        let mut flow = Flow::new(Direction::Upstream);
        let buffers = Buffers::new();
        flow.pace = SPLICE_FROM;
        assert!(flow.worth_a_pipe() && flow.hold_a_pipe(&buffers));
        flow.leave_pipe(&buffers);
        assert!(flow.pipe.is_none(), "a quiet stream holds no pipe");
        assert!(buffers.take_pipe().is_some_and(|pipe| pipe.is_empty()));
    }
}

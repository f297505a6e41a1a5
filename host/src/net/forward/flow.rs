//! One way of a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::hooks::{DataCallbacks, ForwardHooks};
use super::splicer::Splicer;
use crate::net::pipe::Buffers;
use proxy_wasm_engine::{Action, Direction, End};

/// One way of a connection.
pub(super) struct Flow {
    direction: Direction,
    pub(super) state: FlowState,
    pub(super) shown: DataCallbacks,
    /// Read, and held back by a filter.
    held: BytesMut,
    /// Not held back, not yet taken by the other side.
    pub(super) unsent: BytesMut,
    pub(super) splicer: Splicer,
    pub(super) moved: u64,
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlowState {
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
            state: FlowState::Open,
            shown: DataCallbacks::None,
            held: BytesMut::new(),
            unsent: BytesMut::new(),
            splicer: Splicer::default(),
            moved: 0,
        }
    }

    /// Moves what can be moved now, up to [`MAX_PER_POLL`].
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, '_>,
        buffers: &Buffers,
        hooks: &impl ForwardHooks,
    ) -> Result<(), Side> {
        let limit = self.moved + MAX_PER_POLL;
        while self.moved < limit {
            if self.send(cx, ends, hooks)?.is_pending() {
                return Ok(());
            }
            match self.state {
                FlowState::Ended if self.held.is_empty() => {
                    self.state = FlowState::Sent;
                    return Ok(());
                }
                FlowState::Open if self.held.len() < MOST_HELD => {}
                _ => return Ok(()),
            }
            let unseen = self.shown == DataCallbacks::None;
            let read = if unseen && self.splicer.is_ready(buffers) {
                let spliced = self.splicer.poll_read(cx, ends.from.as_ref());
                if let Poll::Ready(Ok(bytes)) = spliced {
                    hooks.took(self.direction, bytes);
                }
                spliced
            } else {
                self.copy(cx, ends, buffers, hooks)?
            };
            match read {
                Poll::Ready(Ok(0)) => self.end(buffers, hooks),
                Poll::Ready(Ok(bytes)) => self.splicer.count(bytes),
                Poll::Ready(Err(_)) => return Err(Side::From),
                Poll::Pending => {
                    self.splicer.run_dry(buffers);
                    return Ok(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Sends what is not held back; pending: the other side takes no more now.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, '_>,
        hooks: &impl ForwardHooks,
    ) -> Result<Poll<()>, Side> {
        while !self.unsent.is_empty() {
            match Pin::new(&mut *ends.to).poll_write(cx, &self.unsent) {
                Poll::Ready(Ok(sent)) => {
                    self.unsent.advance(sent);
                    self.count(sent, hooks);
                }
                Poll::Ready(Err(_)) => return Err(Side::To),
                Poll::Pending => return Ok(Poll::Pending),
            }
            if self.unsent.is_empty() {
                self.unsent = BytesMut::new();
            }
        }
        while self.splicer.holds_bytes() {
            match self.splicer.poll_write(cx, ends.to.as_ref()) {
                Poll::Ready(Ok(sent)) => self.count(sent, hooks),
                Poll::Ready(Err(_)) => return Err(Side::To),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        Ok(Poll::Ready(()))
    }

    /// Reads a chunk and writes it at once; keeps what the other side leaves.
    fn copy(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut Ends<'_, '_>,
        buffers: &Buffers,
        hooks: &impl ForwardHooks,
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
        hooks.took(self.direction, read.len());
        if self.shown != DataCallbacks::None {
            self.held.extend_from_slice(read);
            self.show(End::More, hooks);
            return Ok(Poll::Ready(Ok(read.len())));
        }
        let sent = match Pin::new(&mut *ends.to).poll_write(cx, read) {
            Poll::Ready(Ok(sent)) => sent,
            Poll::Ready(Err(_)) => return Err(Side::To),
            Poll::Pending => 0,
        };
        self.count(sent, hooks);
        if sent < read.len() {
            self.unsent.extend_from_slice(&read[sent..]);
        }
        Ok(Poll::Ready(Ok(read.len())))
    }

    /// The sender has finished.
    fn end(&mut self, buffers: &Buffers, hooks: &impl ForwardHooks) {
        self.state = FlowState::Ended;
        self.splicer.give_back(buffers);
        if self.shown == DataCallbacks::None {
            hooks.ended(self.direction);
        } else {
            self.show(End::Last, hooks);
        }
    }

    /// Shows the filters what is held.
    fn show(&mut self, end: End, hooks: &impl ForwardHooks) {
        if hooks.data(self.direction, &mut self.held, end) == Action::Continue {
            self.release();
            if self.shown == DataCallbacks::First || !hooks.wants_more(self.direction) {
                self.shown = DataCallbacks::None;
            }
        }
    }

    /// Goes on with what is held if the filter that holds it resumes.
    pub(super) fn resume(&mut self, hooks: &impl ForwardHooks) {
        let end = match self.state {
            FlowState::Open => End::More,
            FlowState::Ended | FlowState::Sent | FlowState::Shut => End::Last,
        };
        if hooks.resumed(self.direction, &mut self.held, end) == Some(Action::Continue) {
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
        self.state = FlowState::Shut;
    }

    fn count(&mut self, bytes: usize, hooks: &impl ForwardHooks) {
        self.moved += bytes as u64;
        hooks.moved(self.direction, bytes);
    }
}

/// Bytes one way may move before the worker's other connections are polled.
const MAX_PER_POLL: u64 = 512 * 1024;
/// Bytes a filter may hold back before the client is read no further.
pub(crate) const MOST_HELD: usize = 1024 * 1024;

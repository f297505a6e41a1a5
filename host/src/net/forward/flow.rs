//! One way of a connection.

use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};

use super::hooks::{DataCallbacks, ForwardHooks};
use super::side::{Input, Side};
use super::splicer::Splicer;
use crate::net::first_flight::FirstFlight;
use crate::net::pipe::Buffers;
use crate::net::proxy_header::SignatureWatch;
use proxy_wasm_engine::{Action, Direction, End};

/// One way of a connection: what one side sends, on its way to the other.
pub(super) struct Flow {
    direction: Direction,
    intake: Intake,
    pub(super) shown: DataCallbacks,
    /// What the filters said of what they were shown last.
    action: Action,
    /// Read, and held back by a filter.
    held: BytesMut,
    /// Not held back, not yet taken by the other side.
    pub(super) unsent: BytesMut,
    /// Looks out for a PROXY header, until there can't be one.
    pub(super) watch: SignatureWatch,
    /// What was let go, as long as it may have to be sent again.
    pub(super) flight: FirstFlight,
    pub(super) splicer: Splicer,
    /// Bytes read from the sender.
    pub(super) read: u64,
    pub(super) moved: u64,
    /// Whether bytes were dropped.
    pub(super) loss: Loss,
}

/// What a poll came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More may come.
    Open,
    /// The sender has just ended.
    Ended,
}

/// What becomes of what the sender sends from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intake {
    /// It is passed on.
    Passed,
    /// It is read and dropped.
    Dropped,
    /// It is not read.
    Left,
}

/// Whether bytes of a flow were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    None,
    Some,
}

impl Flow {
    pub(super) fn new(direction: Direction) -> Flow {
        Flow {
            direction,
            intake: Intake::Passed,
            shown: DataCallbacks::None,
            action: Action::Continue,
            held: BytesMut::new(),
            unsent: BytesMut::new(),
            watch: SignatureWatch::Off,
            flight: FirstFlight::Over,
            splicer: Splicer::default(),
            read: 0,
            moved: 0,
            loss: Loss::None,
        }
    }

    /// Moves what can be moved now, up to [`MAX_PER_POLL`]; whether the sender was
    /// found to have ended.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (from, to): (&mut Side<'_>, &mut Side<'_>),
        buffers: &Buffers,
        hooks: &impl ForwardHooks,
    ) -> Progress {
        let limit = self.read + MAX_PER_POLL;
        while self.read < limit {
            if to.is_gone() && !self.flight.is_over() {
                // First it is decided whether another takes its place.
                return Progress::Open;
            }
            if to.is_gone() {
                self.discard();
            }
            if self.send(cx, to, hooks).is_pending() {
                return Progress::Open;
            }
            if from.input != Input::Open || !self.wants_input() {
                return Progress::Open;
            }
            let unseen = self.shown == DataCallbacks::None;
            let bytes = match self.intake {
                Intake::Passed if unseen && self.splicer.is_ready(buffers) => {
                    let filled = self.splicer.poll_read(cx, from.socket);
                    filled.map(|filled| {
                        let bytes = from.received(filled);
                        hooks.took(self.direction, bytes);
                        bytes
                    })
                }
                _ => self.copy(cx, (from, to), buffers, hooks),
            };
            match bytes {
                Poll::Ready(0) => return Progress::Ended,
                Poll::Ready(bytes) => {
                    self.splicer.count(bytes);
                    self.read += bytes as u64;
                }
                Poll::Pending => {
                    self.splicer.run_dry(buffers);
                    return Progress::Open;
                }
            }
        }
        cx.waker().wake_by_ref();
        Progress::Open
    }

    /// Goes on with what is held if the filter that holds it resumes.
    pub(super) fn resume(&mut self, input: Input, hooks: &impl ForwardHooks) {
        if self.action == Action::Continue || self.intake != Intake::Passed {
            return;
        }
        let end = match input {
            Input::Finished => End::Last,
            Input::Open | Input::Broken => End::More,
        };
        if hooks.resumed(self.direction, &mut self.held, end) == Some(Action::Continue) {
            self.release();
        }
    }

    /// Passes nothing on but what was let go before.
    pub(super) fn close(&mut self, intake: Intake) {
        self.intake = intake;
        if !self.held.is_empty() {
            self.held = BytesMut::new();
            self.loss = Loss::Some;
        }
    }

    /// Whether nothing that was let go waits to be sent.
    pub(super) fn is_flushed(&self) -> bool {
        self.unsent.is_empty() && !self.splicer.holds_bytes()
    }

    /// Whether all that the receiver will get has been sent, but the FIN. A filter
    /// that pauses holds the FIN as well.
    pub(super) fn is_delivered(&self, input: Input) -> bool {
        let ended = match (self.intake, input) {
            (Intake::Dropped | Intake::Left, _) => true,
            (Intake::Passed, Input::Open) => false,
            (Intake::Passed, Input::Finished) => self.action == Action::Continue,
            (Intake::Passed, Input::Broken) => self.held.is_empty(),
        };
        ended && self.is_flushed()
    }

    /// Sends what is not held back; pending: the other side takes no more now.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Side<'_>,
        hooks: &impl ForwardHooks,
    ) -> Poll<()> {
        while !self.is_flushed() {
            let sent = if self.unsent.is_empty() {
                to.prepare_write();
                let poured = self.splicer.poll_write(cx, to.socket);
                poured.map(|poured| to.sent(poured))
            } else {
                to.poll_write(cx, &self.unsent)
            };
            let Poll::Ready(sent) = sent else {
                return Poll::Pending;
            };
            if to.is_gone() && !self.flight.is_over() {
                return Poll::Pending;
            }
            if to.is_gone() {
                self.discard();
                break;
            }
            if !self.unsent.is_empty() {
                self.unsent.advance(sent);
                if self.unsent.is_empty() {
                    self.unsent = BytesMut::new();
                }
            }
            self.count(sent, hooks);
        }
        Poll::Ready(())
    }

    /// Reads a chunk and writes it at once; keeps what the other side leaves.
    fn copy(
        &mut self,
        cx: &mut Context<'_>,
        (from, to): (&mut Side<'_>, &mut Side<'_>),
        buffers: &Buffers,
        hooks: &impl ForwardHooks,
    ) -> Poll<usize> {
        let mut chunk = buffers.chunk.borrow_mut();
        let Poll::Ready(read) = from.poll_read(cx, &mut chunk) else {
            return Poll::Pending;
        };
        if read == 0 {
            return Poll::Ready(0);
        }
        let bytes = &chunk[..read];
        hooks.took(self.direction, read);
        self.watch.look(bytes);
        if self.watch == SignatureWatch::Found {
            self.intake = Intake::Dropped;
        }
        if self.intake != Intake::Passed {
            self.loss = Loss::Some;
        } else if self.shown != DataCallbacks::None {
            self.held.extend_from_slice(bytes);
            self.show(End::More, hooks);
        } else {
            self.flight.keep(bytes);
            let sent = match to.poll_write(cx, bytes) {
                Poll::Ready(sent) => sent,
                Poll::Pending => 0,
            };
            self.count(sent, hooks);
            if sent < read {
                // Dropped with the rest if the other side is gone.
                self.unsent.extend_from_slice(&bytes[sent..]);
            }
        }
        Poll::Ready(read)
    }

    /// The sender sends no more.
    pub(super) fn end(&mut self, input: Input, buffers: &Buffers, hooks: &impl ForwardHooks) {
        self.splicer.give_back(buffers);
        if input != Input::Finished || self.intake != Intake::Passed {
            return;
        }
        if self.shown == DataCallbacks::None {
            hooks.ended(self.direction);
        } else {
            self.show(End::Last, hooks);
        }
    }

    /// Shows the filters what is held.
    fn show(&mut self, end: End, hooks: &impl ForwardHooks) {
        self.action = hooks.data(self.direction, &mut self.held, end);
        if self.action == Action::Continue {
            self.release();
            if !hooks.wants_more(self.direction) {
                self.shown = DataCallbacks::None;
            }
        }
    }

    /// Begins anew with another receiver, which has got nothing yet.
    pub(super) fn start_again(&mut self) {
        self.unsent = self.flight.copy();
    }

    fn release(&mut self) {
        self.action = Action::Continue;
        self.flight.keep(&self.held);
        if self.unsent.is_empty() {
            self.unsent = std::mem::take(&mut self.held);
        } else {
            self.unsent
                .extend_from_slice(&std::mem::take(&mut self.held));
        }
    }

    /// Drops what nobody will take any more.
    fn discard(&mut self) {
        if !self.is_flushed() {
            self.unsent = BytesMut::new();
            self.splicer.abandon();
            self.loss = Loss::Some;
        }
        self.close(Intake::Dropped);
    }

    /// A filter is shown no more than it may hold back.
    fn wants_input(&self) -> bool {
        self.intake != Intake::Left && self.held.len() < MOST_HELD
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

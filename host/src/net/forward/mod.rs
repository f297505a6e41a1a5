//! Moves bytes both ways between a client and a replica until both are done.
//!
//! A half-close passes through: FIN one way leaves the other way open. A socket
//! that fails ends what was sent to it, and no more: what came from it before is
//! delivered. Nothing is buffered beyond what is in flight, and a connection that
//! is quiet holds no memory but its own state.
//!
//! How a side's stream ends, once it has all that there is for it:
//!
//! - the other side finished: with a FIN;
//! - the other side was reset: with a reset, so that it is not taken for complete.
//!   Except an answer, when what the client sent was not all taken: then that is
//!   what the reset is about. A server that answers 413 and closes leaves the rest
//!   unread, and its kernel says so by a reset.
//!
//! A client that still sends then is read for a while, into nothing: closing on it
//! would be a reset, which may overtake the answer.

mod acknowledgement;
mod duplex;
mod flow;
mod hooks;
mod outcome;
mod side;
mod silence;
mod splicer;
mod timeouts;

pub(crate) use flow::MOST_HELD;
pub(crate) use hooks::{DataCallbacks, ForwardHooks};
pub(crate) use outcome::{Asked, Outcome};
pub(crate) use timeouts::Timeouts;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::control::CloseCommand;
use crate::net::first_flight::FirstFlight;
use crate::net::pipe::Buffers;
use crate::net::proxy_header::SignatureWatch;
use acknowledgement::Acknowledgement;
use duplex::{Duplex, Ending, FlightEnd};
use flow::Flow;
use proxy_wasm_engine::{Direction, End};
use side::Input;
use silence::{Activity, Silence, Watch};

/// What a client sent before there was a replica.
pub(crate) struct Early {
    pub(crate) bytes: BytesMut,
    pub(crate) end: End,
}

/// What a client has sent, and what filters are shown, for another replica.
pub(crate) struct Resumable {
    up: Flow,
    down_shown: DataCallbacks,
    client_input: Input,
    watch: Watch,
}

/// A connected client and replica.
pub(crate) struct Forward<'a, T> {
    duplex: Duplex<'a>,
    /// Which way ended first. Not beside both ways, where it would take a word.
    first_end: Option<Direction>,
    /// Set once nothing more is let through: why.
    closing: Option<Outcome>,
    timeouts: &'a Timeouts,
    silence: Silence,
    /// How the connection is watched while nothing happens.
    watch: Watch,
    acknowledgement: Acknowledgement,
    buffers: &'a Buffers,
    hooks: &'a T,
}

impl<'a, T: ForwardHooks> Forward<'a, T> {
    pub(crate) fn new(
        client: &'a TcpStream,
        replica: &'a TcpStream,
        buffers: &'a Buffers,
        hooks: &'a T,
    ) -> Self {
        Forward {
            duplex: Duplex::new(client, replica),
            first_end: None,
            closing: None,
            timeouts: &Timeouts::DEFAULT,
            silence: Silence::default(),
            watch: Watch::Short,
            acknowledgement: Acknowledgement::default(),
            buffers,
            hooks,
        }
    }

    /// Shows chunks going up and down to the filters.
    pub(crate) fn show(mut self, up: DataCallbacks, down: DataCallbacks) -> Self {
        self.duplex.up.shown = up;
        self.duplex.down.shown = down;
        self
    }

    /// Begins with what the client sent before there was a replica.
    pub(crate) fn beginning_with(mut self, early: Early) -> Self {
        self.duplex.up.unsent = early.bytes;
        if early.end == End::Last {
            self.duplex.client.input = Input::Finished;
        }
        self
    }

    /// Keeps what the client sends while the replica has said nothing.
    pub(crate) fn keep_first_flight(mut self) -> Self {
        self.duplex.up.flight = FirstFlight::new();
        self.duplex.up.flight.keep(&self.duplex.up.unsent);
        self
    }

    /// Looks out for a PROXY header in what the client sends, with what was seen before.
    pub(crate) fn watch(mut self, watch: SignatureWatch) -> Self {
        self.duplex.up.watch = watch;
        self
    }

    /// Goes on where another replica ended before its first byte.
    pub(crate) fn resuming(mut self, resumable: Resumable) -> Self {
        self.duplex.up = resumable.up;
        self.duplex.up.start_again();
        self.duplex.down.shown = resumable.down_shown;
        self.duplex.client.input = resumable.client_input;
        self.watch = resumable.watch;
        self
    }

    /// After [`Outcome::Unserved`]: another replica takes the place of this one.
    pub(crate) fn give_up_replica(self) -> Resumable {
        Resumable {
            up: self.duplex.up,
            down_shown: self.duplex.down.shown,
            client_input: self.duplex.client.input,
            watch: self.watch,
        }
    }

    /// After [`Outcome::Unserved`]: the client sees what happened.
    pub(crate) fn pass_on(&mut self) {
        self.duplex.pass_on(self.buffers, self.hooks);
    }

    /// Ends the connection once it has been silent for this long.
    pub(crate) fn timeouts(mut self, timeouts: &'a Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let before = self.progress();
        if self.hooks.take_lasting() {
            self.watch = Watch::Lasting;
            self.duplex.replica.keep_alive();
        }
        loop {
            for direction in [Direction::Downstream, Direction::Upstream] {
                // What a filter is shown as it closes does not pass, nor does anything
                // that comes after; a cut is for now.
                match self.hooks.poll_order(cx) {
                    Poll::Ready(order @ CloseCommand::Cut(_)) => {
                        return Poll::Ready(Outcome::Ordered(order));
                    }
                    Poll::Ready(order) => self.close(Outcome::Ordered(order)),
                    Poll::Pending => {}
                }
                self.duplex
                    .move_bytes(direction, cx, self.buffers, self.hooks);
            }
            if self.duplex.up.watch == SignatureWatch::Found {
                return Poll::Ready(Outcome::UntrustedHeader);
            }
            let flight = self
                .duplex
                .first_flight(self.closing, self.buffers, self.hooks);
            match flight {
                FlightEnd::Unserved(asked) => return Poll::Ready(Outcome::Unserved(asked)),
                FlightEnd::RunAgain => {}
                FlightEnd::None => break,
            }
        }
        self.first_end = self.first_end.or_else(|| self.duplex.ended());
        loop {
            if let Poll::Ready(outcome) = self.settle(cx) {
                return Poll::Ready(outcome);
            }
            if self.watch == Watch::Lasting
                && self.is_half_closed()
                && self.duplex.poll_hang_up(cx).is_ready()
            {
                continue;
            }
            let activity = match before == self.progress() {
                true => Activity::None,
                false => Activity::Some,
            };
            let limit = self.silence_limit();
            ready!(self.silence.poll(cx, limit, activity, self.watch));
            match self.closing {
                Some(outcome) => return Poll::Ready(outcome),
                None => self.close(self.timed_out()),
            }
        }
    }

    /// Lets nothing more through; what was let go before is still delivered.
    fn close(&mut self, outcome: Outcome) {
        if self.closing.is_none() {
            self.closing = Some(outcome);
            self.duplex.close();
        }
    }

    /// Decides from what both sides can still do whether the connection is over, and
    /// sends the FIN that is due.
    fn settle(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let up_delivered = self.duplex.up.is_delivered(self.duplex.client.input);
        let down_delivered = self.duplex.down.is_delivered(self.duplex.replica.input);
        let outcome = match (self.duplex.client.is_gone(), self.duplex.replica.is_gone()) {
            (true, true) => Outcome::ClientReset,
            (true, false) => {
                if !up_delivered {
                    return Poll::Pending;
                }
                if self.duplex.client.input == Input::Finished {
                    self.duplex.replica.finish();
                }
                // A close with unread input is a reset, which may overtake the rest.
                let rest = self.duplex.replica.unacknowledged();
                ready!(self.acknowledgement.poll(cx, rest));
                Outcome::ClientReset
            }
            (false, true) => {
                if !down_delivered {
                    return Poll::Pending;
                }
                if self.duplex.ending(Direction::Upstream) == Ending::Reset {
                    let rest = self.duplex.client.unacknowledged();
                    ready!(self.acknowledgement.poll(cx, rest));
                    Outcome::ReplicaReset
                } else if self.duplex.client.input == Input::Open {
                    self.duplex.client.finish();
                    self.close(Outcome::ReplicaClosed);
                    return Poll::Pending;
                } else {
                    Outcome::ReplicaClosed
                }
            }
            (false, false) => match (up_delivered, down_delivered) {
                // Closing both sockets says what a shutdown of either would.
                (true, true) if !self.duplex.is_interrupted() => match self.first_end {
                    Some(Direction::Upstream) => Outcome::ReplicaClosed,
                    _ => Outcome::ClientClosed,
                },
                (up_delivered, down_delivered) => {
                    if up_delivered {
                        self.duplex.replica.finish();
                    }
                    if down_delivered {
                        self.duplex.client.finish();
                    }
                    return Poll::Pending;
                }
            },
        };
        Poll::Ready(self.closing.unwrap_or(outcome))
    }

    fn is_half_closed(&self) -> bool {
        self.first_end.is_some() || self.duplex.is_one_gone()
    }

    fn silence_limit(&self) -> Option<Duration> {
        let Timeouts { idle, close, .. } = *self.timeouts;
        match self.closing {
            Some(_) => Some(close),
            None if self.is_half_closed() => self.timeouts.half_closed(),
            None => idle,
        }
    }

    fn timed_out(&self) -> Outcome {
        match self.timeouts.idle {
            idle if idle.is_some() && idle == self.silence_limit() => Outcome::Idle,
            _ => Outcome::HalfClosed,
        }
    }

    /// What grows as long as something goes on.
    fn progress(&self) -> (u64, usize) {
        (self.duplex.moved(), self.acknowledgement.rest())
    }
}

/// Goes on until both ways are done, one side is gone, or a command ends it.
/// Implemented by hand, since an async function would hold a second copy of `self`.
impl<T: ForwardHooks> Future for Forward<'_, T> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = ready!(self.advance(cx));
        let Forward {
            duplex, buffers, ..
        } = &mut *self;
        match outcome {
            Outcome::Unserved(_) => {}
            Outcome::Ordered(CloseCommand::Cut(_)) => duplex.cut(buffers),
            _ => duplex.prepare_close(buffers),
        }
        Poll::Ready(outcome)
    }
}

#[cfg(test)]
mod tests;

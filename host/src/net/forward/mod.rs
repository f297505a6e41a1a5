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
use tokio::time::{Instant, Sleep, sleep};

use crate::control::CloseCommand;
use crate::net::first_flight::{FirstFlight, Resend};
use crate::net::pipe::Buffers;
use crate::net::proxy_header::SignatureWatch;
use flow::{Flow, Intake, Loss, Progress};
use proxy_wasm_engine::{Direction, End};
use side::{Input, NoDelay, Side};
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
    client: Side<'a>,
    replica: Side<'a>,
    up: Flow,
    down: Flow,
    first_end: Option<Direction>,
    /// Set once nothing more is let through: why.
    closing: Option<Outcome>,
    timeouts: &'a Timeouts,
    silence: Silence,
    /// How the connection is watched while nothing happens.
    watch: Watch,
    /// What one side has not acknowledged, while that is waited for.
    unacknowledged: usize,
    /// In a box: hardly any connection has one.
    recheck: Option<Box<Recheck>>,
    buffers: &'a Buffers,
    hooks: &'a T,
}

/// When to look again what a side has acknowledged.
struct Recheck {
    sleep: Pin<Box<Sleep>>,
    pause: Duration,
}

/// What became of a first flight.
enum FlightEnd {
    /// Nothing yet, or nothing to act upon.
    None,
    /// It is not sent again: both ways go on.
    RunAgain,
    Unserved(Asked),
}

/// How a side's stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Fin,
    Reset,
}

impl<'a, T: ForwardHooks> Forward<'a, T> {
    pub(crate) fn new(
        client: &'a TcpStream,
        replica: &'a TcpStream,
        buffers: &'a Buffers,
        hooks: &'a T,
    ) -> Self {
        Forward {
            // Its listening socket has handed it down.
            client: Side::new(client, NoDelay::Set),
            replica: Side::new(replica, NoDelay::AfterFirstWrite),
            up: Flow::new(Direction::Downstream),
            down: Flow::new(Direction::Upstream),
            first_end: None,
            closing: None,
            timeouts: &Timeouts::DEFAULT,
            silence: Silence::default(),
            watch: Watch::Short,
            unacknowledged: 0,
            recheck: None,
            buffers,
            hooks,
        }
    }

    /// Shows chunks going up and down to the filters.
    pub(crate) fn show(mut self, up: DataCallbacks, down: DataCallbacks) -> Self {
        self.up.shown = up;
        self.down.shown = down;
        self
    }

    /// Begins with what the client sent before there was a replica.
    pub(crate) fn beginning_with(mut self, early: Early) -> Self {
        self.up.unsent = early.bytes;
        if early.end == End::Last {
            self.client.input = Input::Finished;
        }
        self
    }

    /// Keeps what the client sends while the replica has said nothing.
    pub(crate) fn keep_first_flight(mut self) -> Self {
        self.up.flight = FirstFlight::new();
        self.up.flight.keep(&self.up.unsent);
        self
    }

    /// Looks out for a PROXY header in what the client sends, with what was seen before.
    pub(crate) fn watch(mut self, watch: SignatureWatch) -> Self {
        self.up.watch = watch;
        self
    }

    /// Goes on where another replica ended before its first byte.
    pub(crate) fn resuming(mut self, resumable: Resumable) -> Self {
        self.up = resumable.up;
        self.up.start_again();
        self.down.shown = resumable.down_shown;
        self.client.input = resumable.client_input;
        self.watch = resumable.watch;
        self
    }

    /// After [`Outcome::Unserved`]: another replica takes the place of this one.
    pub(crate) fn give_up_replica(self) -> Resumable {
        Resumable {
            up: self.up,
            down_shown: self.down.shown,
            client_input: self.client.input,
            watch: self.watch,
        }
    }

    /// After [`Outcome::Unserved`]: the client sees what happened.
    pub(crate) fn pass_on(&mut self) {
        self.up.flight = FirstFlight::Over;
        self.down.end(self.replica.input, self.buffers, self.hooks);
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
            self.replica.keep_alive();
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
                self.move_bytes(direction, cx);
            }
            if self.up.watch == SignatureWatch::Found {
                return Poll::Ready(Outcome::UntrustedHeader);
            }
            match self.first_flight() {
                FlightEnd::Unserved(asked) => return Poll::Ready(Outcome::Unserved(asked)),
                FlightEnd::RunAgain => {}
                FlightEnd::None => break,
            }
        }
        self.note_first_end();
        loop {
            if let Poll::Ready(outcome) = self.settle(cx) {
                return Poll::Ready(outcome);
            }
            if self.watch == Watch::Lasting
                && self.is_half_closed()
                && self.poll_hang_up(cx).is_ready()
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

    fn move_bytes(&mut self, direction: Direction, cx: &mut Context<'_>) {
        let is_first_awaited = direction == Direction::Upstream && !self.up.flight.is_over();
        let (flow, from, to) = match direction {
            Direction::Downstream => (&mut self.up, &mut self.client, &mut self.replica),
            Direction::Upstream => (&mut self.down, &mut self.replica, &mut self.client),
        };
        flow.resume(from.input, self.hooks);
        while flow.poll(cx, (from, to), self.buffers, self.hooks) == Progress::Ended {
            if is_first_awaited && flow.read == 0 {
                // Not shown to the filters before it is decided what comes of it.
                return;
            }
            flow.end(from.input, self.buffers, self.hooks);
        }
    }

    /// Looks whether the replica has said something, or never will.
    fn first_flight(&mut self) -> FlightEnd {
        if self.up.flight.is_over() {
            return FlightEnd::None;
        }
        let has_ended = self.replica.input != Input::Open;
        let is_silent = self.down.read == 0;
        if is_silent && !has_ended && self.closing.is_none() {
            return FlightEnd::None;
        }
        let client_end = match self.client.input {
            Input::Finished => End::Last,
            Input::Open | Input::Broken => End::More,
        };
        let client_stays = self.client.input != Input::Broken && !self.client.is_gone();
        if is_silent && client_stays && self.closing.is_none() {
            match self.up.flight.resend(client_end) {
                Resend::Whole => return FlightEnd::Unserved(Asked::Yes),
                Resend::Part => return FlightEnd::Unserved(Asked::NotYet),
                Resend::Never => {}
            }
        }
        match is_silent && has_ended {
            true => self.pass_on(),
            false => self.up.flight = FirstFlight::Over,
        }
        match has_ended || self.replica.is_gone() {
            true => FlightEnd::RunAgain,
            false => FlightEnd::None,
        }
    }

    /// Lets nothing more through; what was let go before is still delivered.
    fn close(&mut self, outcome: Outcome) {
        if self.closing.is_none() {
            self.closing = Some(outcome);
            self.up.close(Intake::Dropped);
            self.down.close(Intake::Left);
        }
    }

    /// Decides from what both sides can still do whether the connection is over, and
    /// sends the FIN that is due.
    fn settle(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let up_delivered = self.up.is_delivered(self.client.input);
        let down_delivered = self.down.is_delivered(self.replica.input);
        let outcome = match (self.client.is_gone(), self.replica.is_gone()) {
            (true, true) => Outcome::ClientReset,
            (true, false) => {
                if !up_delivered {
                    return Poll::Pending;
                }
                if self.client.input == Input::Finished {
                    self.replica.finish();
                }
                // A close with unread input is a reset, which may overtake the rest.
                ready!(self.poll_acknowledged(cx, self.replica.unacknowledged()));
                Outcome::ClientReset
            }
            (false, true) => {
                if !down_delivered {
                    return Poll::Pending;
                }
                if self.ending(Direction::Upstream) == Ending::Reset {
                    ready!(self.poll_acknowledged(cx, self.client.unacknowledged()));
                    Outcome::ReplicaReset
                } else if self.client.input == Input::Open {
                    self.client.finish();
                    self.close(Outcome::ReplicaClosed);
                    return Poll::Pending;
                } else {
                    Outcome::ReplicaClosed
                }
            }
            (false, false) => {
                // Who was sent nothing has nothing that a reset could overtake.
                let interrupted = self.client.input == Input::Open
                    && self.up.loss == Loss::Some
                    && self.down.moved > 0;
                match (up_delivered, down_delivered) {
                    // Closing both sockets says what a shutdown of either would.
                    (true, true) if !interrupted => match self.first_end {
                        Some(Direction::Upstream) => Outcome::ReplicaClosed,
                        _ => Outcome::ClientClosed,
                    },
                    (up_delivered, down_delivered) => {
                        if up_delivered {
                            self.replica.finish();
                        }
                        if down_delivered {
                            self.client.finish();
                        }
                        return Poll::Pending;
                    }
                }
            }
        };
        Poll::Ready(self.closing.unwrap_or(outcome))
    }

    /// Waits until a side has acknowledged all it was sent: a reset discards the rest.
    /// There is no event for it.
    fn poll_acknowledged(&mut self, cx: &mut Context<'_>, rest: usize) -> Poll<()> {
        self.unacknowledged = rest;
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

    /// How the receiver of one way sees it end.
    fn ending(&self, direction: Direction) -> Ending {
        let (flow, from) = match direction {
            Direction::Downstream => (&self.up, &self.client),
            Direction::Upstream => (&self.down, &self.replica),
        };
        let lost = from.input == Input::Broken
            && !(direction == Direction::Upstream && self.is_early_answer());
        if lost || !flow.is_flushed() {
            Ending::Reset
        } else {
            Ending::Fin
        }
    }

    /// Whether a replica that was reset had answered, and had not taken all that the
    /// client sent.
    fn is_early_answer(&self) -> bool {
        self.down.moved > 0 && (self.up.loss == Loss::Some || self.replica.unacknowledged() > 0)
    }

    fn note_first_end(&mut self) {
        if self.first_end.is_none() {
            self.first_end = match (self.client.input, self.replica.input) {
                (Input::Open, Input::Open) => None,
                (Input::Open, _) => Some(Direction::Upstream),
                _ => Some(Direction::Downstream),
            };
        }
    }

    fn is_half_closed(&self) -> bool {
        self.first_end.is_some() || self.client.is_gone() || self.replica.is_gone()
    }

    /// Whether one that had finished was found to be gone.
    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match (self.client.poll_hang_up(cx), self.replica.poll_hang_up(cx)) {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(()),
        }
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
        (
            self.up.moved.wrapping_add(self.down.moved),
            self.unacknowledged,
        )
    }

    /// Makes closing the sockets a reset where the stream is not whole.
    fn prepare_close(&mut self, outcome: Outcome) {
        // Not an end of stream, which would make what the peer has look complete.
        let cut = matches!(outcome, Outcome::Ordered(CloseCommand::Cut(_)));
        for (side, direction) in [
            (&self.client, Direction::Upstream),
            (&self.replica, Direction::Downstream),
        ] {
            if cut || !side.is_gone() && self.ending(direction) == Ending::Reset {
                side.reset();
            }
        }
        for flow in [&mut self.up, &mut self.down] {
            flow.splicer.give_back(self.buffers);
        }
    }
}

/// Goes on until both ways are done, one side is gone, or a command ends it.
/// Implemented by hand, since an async function would hold a second copy of `self`.
impl<T: ForwardHooks> Future for Forward<'_, T> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = ready!(self.advance(cx));
        if !matches!(outcome, Outcome::Unserved(_)) {
            self.prepare_close(outcome);
        }
        Poll::Ready(outcome)
    }
}

/// Between two looks at what a side has acknowledged: at first, and at most.
const RECHECKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

#[cfg(test)]
mod tests;

//! Both sides of a connection, and what each sends to the other.

use std::task::{Context, Poll};

use tokio::net::TcpStream;

use super::flow::{Flow, Intake, Loss, Progress};
use super::hooks::ForwardHooks;
use super::outcome::{Asked, Outcome};
use super::side::{Input, NoDelay, Side};
use crate::net::first_flight::{FirstFlight, Resend};
use crate::net::pipe::Buffers;
use proxy_wasm_engine::{Direction, End};

/// Both sides of a connection, and what each sends to the other.
pub(super) struct Duplex<'a> {
    pub(super) client: Side<'a>,
    pub(super) replica: Side<'a>,
    /// From the client to the replica.
    pub(super) up: Flow,
    pub(super) down: Flow,
}

/// How a side's stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Fin,
    Reset,
}

/// What became of a first flight.
pub(super) enum FlightEnd {
    /// Nothing yet, or nothing to act upon.
    None,
    /// It is not sent again: both ways go on.
    RunAgain,
    Unserved(Asked),
}

impl<'a> Duplex<'a> {
    pub(super) fn new(client: &'a TcpStream, replica: &'a TcpStream) -> Duplex<'a> {
        Duplex {
            // Its listening socket has handed it down.
            client: Side::new(client, NoDelay::Set),
            replica: Side::new(replica, NoDelay::AfterFirstWrite),
            up: Flow::new(Direction::Downstream),
            down: Flow::new(Direction::Upstream),
        }
    }

    pub(super) fn move_bytes(
        &mut self,
        direction: Direction,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        hooks: &impl ForwardHooks,
    ) {
        let is_first_awaited = direction == Direction::Upstream && !self.up.flight.is_over();
        let (flow, from, to) = match direction {
            Direction::Downstream => (&mut self.up, &mut self.client, &mut self.replica),
            Direction::Upstream => (&mut self.down, &mut self.replica, &mut self.client),
        };
        flow.resume(from.input, hooks);
        while flow.poll(cx, (from, to), buffers, hooks) == Progress::Ended {
            if is_first_awaited && flow.read == 0 {
                // Not shown to the filters before it is decided what comes of it.
                return;
            }
            flow.end(from.input, buffers, hooks);
        }
    }

    /// Looks whether the replica has said something, or never will.
    pub(super) fn first_flight(
        &mut self,
        closing: Option<Outcome>,
        buffers: &Buffers,
        hooks: &impl ForwardHooks,
    ) -> FlightEnd {
        if self.up.flight.is_over() {
            return FlightEnd::None;
        }
        let has_ended = self.replica.input != Input::Open;
        let is_silent = self.down.read == 0;
        if is_silent && !has_ended && closing.is_none() {
            return FlightEnd::None;
        }
        let client_end = match self.client.input {
            Input::Finished => End::Last,
            Input::Open | Input::Broken => End::More,
        };
        let client_stays = self.client.input != Input::Broken && !self.client.is_gone();
        if is_silent && client_stays && closing.is_none() {
            match self.up.flight.resend(client_end) {
                Resend::Whole => return FlightEnd::Unserved(Asked::Yes),
                Resend::Part => return FlightEnd::Unserved(Asked::NotYet),
                Resend::Never => {}
            }
        }
        match is_silent && has_ended {
            true => self.pass_on(buffers, hooks),
            false => self.up.flight = FirstFlight::Over,
        }
        match has_ended || self.replica.is_gone() {
            true => FlightEnd::RunAgain,
            false => FlightEnd::None,
        }
    }

    /// The client sees that the replica has ended.
    pub(super) fn pass_on(&mut self, buffers: &Buffers, hooks: &impl ForwardHooks) {
        self.up.flight = FirstFlight::Over;
        self.down.end(self.replica.input, buffers, hooks);
    }

    /// Lets nothing more through; what was let go before is still delivered.
    pub(super) fn close(&mut self) {
        self.up.close(Intake::Dropped);
        self.down.close(Intake::Left);
    }

    /// Whether one that had finished was found to be gone.
    pub(super) fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match (self.client.poll_hang_up(cx), self.replica.poll_hang_up(cx)) {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    /// Makes closing the sockets a reset: not an end of stream, which would make what the
    /// peer has look complete.
    pub(super) fn cut(&mut self, buffers: &Buffers) {
        self.client.reset();
        self.replica.reset();
        self.give_back(buffers);
    }

    /// Makes closing the sockets a reset where the stream is not whole.
    pub(super) fn prepare_close(&mut self, buffers: &Buffers) {
        for (side, direction) in [
            (&self.client, Direction::Upstream),
            (&self.replica, Direction::Downstream),
        ] {
            if !side.is_gone() && self.ending(direction) == Ending::Reset {
                side.reset();
            }
        }
        self.give_back(buffers);
    }

    /// How the receiver of one way sees it end.
    pub(super) fn ending(&self, direction: Direction) -> Ending {
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

    /// Which way has ended; of two, that from the client.
    pub(super) fn ended(&self) -> Option<Direction> {
        match (self.client.input, self.replica.input) {
            (Input::Open, Input::Open) => None,
            (Input::Open, _) => Some(Direction::Upstream),
            _ => Some(Direction::Downstream),
        }
    }

    /// Whether nothing can be sent to one side any more.
    pub(super) fn is_one_gone(&self) -> bool {
        self.client.is_gone() || self.replica.is_gone()
    }

    /// Bytes moved, both ways.
    pub(super) fn moved(&self) -> u64 {
        self.up.moved.wrapping_add(self.down.moved)
    }

    /// Whether the client still sends what nobody takes. Who was sent nothing has nothing
    /// that a reset could overtake.
    pub(super) fn is_interrupted(&self) -> bool {
        self.client.input == Input::Open && self.up.loss == Loss::Some && self.down.moved > 0
    }

    /// Whether a replica that was reset had answered, and had not taken all that the
    /// client sent.
    fn is_early_answer(&self) -> bool {
        self.down.moved > 0 && (self.up.loss == Loss::Some || self.replica.unacknowledged() > 0)
    }

    fn give_back(&mut self, buffers: &Buffers) {
        for flow in [&mut self.up, &mut self.down] {
            flow.splicer.give_back(buffers);
        }
    }
}

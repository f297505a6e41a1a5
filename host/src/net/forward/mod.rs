//! Moves bytes both ways between a client and a replica until both are done.
//!
//! A half-close passes through: FIN one way leaves the other way open. A reset
//! passes through as a reset. Nothing is buffered beyond what is in flight, and
//! a connection that is quiet holds no memory but its own state.

mod flow;
mod hooks;
mod idle;
mod splicer;

pub(crate) use flow::MOST_HELD;
pub use hooks::DataCallbacks;
pub(crate) use hooks::ForwardHooks;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::control::CloseCommand;
use crate::net::pipe::Buffers;
use crate::net::socket::reset_on_close;
use flow::{Ends, Flow, Side, State};
use idle::Idle;
use proxy_wasm_engine::{Direction, End};

/// Why forwarding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Both sides finished; the client first.
    ClientClosed,
    /// Both sides finished; the replica first.
    ReplicaClosed,
    /// The client went away without a word; the replica was told likewise.
    ClientReset,
    /// The replica went away without a word; the client was told likewise.
    ReplicaReset,
    /// Silent both ways for longer than allowed.
    Idle,
    /// By order.
    Ordered(CloseCommand),
}

/// A connected client and replica.
pub(crate) struct Forward<'a, T> {
    client: TcpStream,
    replica: TcpStream,
    up: Flow,
    down: Flow,
    first_end: Option<Direction>,
    idle: Option<Idle>,
    buffers: &'a Buffers,
    tap: &'a T,
}

impl<'a, T: ForwardHooks> Forward<'a, T> {
    pub(crate) fn new(
        client: TcpStream,
        replica: TcpStream,
        buffers: &'a Buffers,
        tap: &'a T,
    ) -> Self {
        Forward {
            client,
            replica,
            up: Flow::new(Direction::Downstream),
            down: Flow::new(Direction::Upstream),
            first_end: None,
            idle: None,
            buffers,
            tap,
        }
    }

    /// Shows chunks going up and down to the guest.
    pub(crate) fn show(mut self, up: DataCallbacks, down: DataCallbacks) -> Self {
        self.up.shown = up;
        self.down.shown = down;
        self
    }

    /// Begins with what the client sent before there was a replica.
    pub(crate) fn beginning_with(mut self, sent: BytesMut, end: End) -> Self {
        self.up.unsent = sent;
        if end == End::Last {
            self.up.state = State::Ended;
        }
        self
    }

    /// Ends the connection once it has been silent both ways for so long.
    pub(crate) fn idle_timeout(mut self, limit: Option<Duration>) -> Self {
        self.idle = limit.map(Idle::new);
        self
    }

    /// Sees to it that closing the sockets says what there is to say.
    fn part(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::ClientReset => reset_on_close(&self.replica),
            Outcome::ReplicaReset => reset_on_close(&self.client),
            // Not an end of stream: a peer must not take what it has for the whole.
            Outcome::Ordered(CloseCommand::Cut) => {
                reset_on_close(&self.client);
                reset_on_close(&self.replica);
            }
            Outcome::ClientClosed
            | Outcome::ReplicaClosed
            | Outcome::Idle
            | Outcome::Ordered(CloseCommand::Close) => {}
        }
        for flow in [&mut self.up, &mut self.down] {
            flow.splicer.give_back(self.buffers);
        }
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Poll::Ready(order) = self.tap.poll_order(cx) {
            return Poll::Ready(Outcome::Ordered(order));
        }
        for flow in [&mut self.up, &mut self.down] {
            if let State::Open | State::Ended = flow.state {
                flow.resume(self.tap);
            }
        }
        let before = self.up.moved.wrapping_add(self.down.moved);
        let (mut client_read, mut client_write) = self.client.split();
        let (mut replica_read, mut replica_write) = self.replica.split();
        let mut up = Ends {
            from: &mut client_read,
            to: &mut replica_write,
        };
        if let Err(side) = self.up.poll(cx, &mut up, self.buffers, self.tap) {
            return Poll::Ready(match side {
                Side::From => Outcome::ClientReset,
                Side::To => Outcome::ReplicaReset,
            });
        }
        let mut ends = Ends {
            from: &mut replica_read,
            to: &mut client_write,
        };
        if let Err(side) = self.down.poll(cx, &mut ends, self.buffers, self.tap) {
            return Poll::Ready(match side {
                Side::From => Outcome::ReplicaReset,
                Side::To => Outcome::ClientReset,
            });
        }
        if self.first_end.is_none() {
            self.first_end = match (self.up.state, self.down.state) {
                (State::Open, State::Open) => None,
                (State::Open, _) => Some(Direction::Upstream),
                _ => Some(Direction::Downstream),
            };
        }
        match (self.up.state, self.down.state) {
            // Closing both sockets says what a shutdown of either would.
            (State::Sent | State::Shut, State::Sent | State::Shut) => {
                return Poll::Ready(match self.first_end {
                    Some(Direction::Upstream) => Outcome::ReplicaClosed,
                    _ => Outcome::ClientClosed,
                });
            }
            (State::Sent, _) => self.up.shut(&self.replica),
            (_, State::Sent) => self.down.shut(&self.client),
            _ => {}
        }
        let active = before != self.up.moved.wrapping_add(self.down.moved);
        match &mut self.idle {
            Some(idle) => idle.poll(cx, active).map(|()| Outcome::Idle),
            None => Poll::Pending,
        }
    }
}

/// Goes on until both ways are done, one side resets, or an order comes. A future
/// in person, since an async function would hold a second copy of it.
impl<T: ForwardHooks> Future for Forward<'_, T> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = ready!(self.advance(cx));
        self.part(outcome);
        Poll::Ready(outcome)
    }
}

#[cfg(test)]
mod tests;

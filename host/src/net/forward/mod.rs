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
use flow::{Ends, Flow, FlowState, Side};
use idle::Idle;
use proxy_wasm_engine::{Direction, End};

/// Why forwarding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Both sides finished; the client first.
    ClientClosed,
    /// Both sides finished; the replica first.
    ReplicaClosed,
    /// The client reset its connection, and so the replica's was reset.
    ClientReset,
    /// The replica reset its connection, and so the client's was reset.
    ReplicaReset,
    /// Silent both ways for longer than allowed.
    Idle,
    /// By command of a filter or the drain.
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
    hooks: &'a T,
}

impl<'a, T: ForwardHooks> Forward<'a, T> {
    pub(crate) fn new(
        client: TcpStream,
        replica: TcpStream,
        buffers: &'a Buffers,
        hooks: &'a T,
    ) -> Self {
        Forward {
            client,
            replica,
            up: Flow::new(Direction::Downstream),
            down: Flow::new(Direction::Upstream),
            first_end: None,
            idle: None,
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
    pub(crate) fn beginning_with(mut self, sent: BytesMut, end: End) -> Self {
        self.up.unsent = sent;
        if end == End::Last {
            self.up.state = FlowState::Ended;
        }
        self
    }

    /// Ends the connection once it has been silent both ways for this long.
    pub(crate) fn idle_timeout(mut self, limit: Option<Duration>) -> Self {
        self.idle = limit.map(Idle::new);
        self
    }

    /// Makes closing the sockets a reset where the outcome asks for one.
    fn prepare_close(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::ClientReset => reset_on_close(&self.replica),
            Outcome::ReplicaReset => reset_on_close(&self.client),
            // Not an end of stream, which would make what the peer has look complete.
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
        if let Poll::Ready(command) = self.hooks.poll_order(cx) {
            return Poll::Ready(Outcome::Ordered(command));
        }
        for flow in [&mut self.up, &mut self.down] {
            if let FlowState::Open | FlowState::Ended = flow.state {
                flow.resume(self.hooks);
            }
        }
        let before = self.up.moved.wrapping_add(self.down.moved);
        let (mut client_read, mut client_write) = self.client.split();
        let (mut replica_read, mut replica_write) = self.replica.split();
        let mut ends = Ends {
            from: &mut client_read,
            to: &mut replica_write,
        };
        if let Err(side) = self.up.poll(cx, &mut ends, self.buffers, self.hooks) {
            return Poll::Ready(match side {
                Side::From => Outcome::ClientReset,
                Side::To => Outcome::ReplicaReset,
            });
        }
        let mut ends = Ends {
            from: &mut replica_read,
            to: &mut client_write,
        };
        if let Err(side) = self.down.poll(cx, &mut ends, self.buffers, self.hooks) {
            return Poll::Ready(match side {
                Side::From => Outcome::ReplicaReset,
                Side::To => Outcome::ClientReset,
            });
        }
        if self.first_end.is_none() {
            self.first_end = match (self.up.state, self.down.state) {
                (FlowState::Open, FlowState::Open) => None,
                (FlowState::Open, _) => Some(Direction::Upstream),
                _ => Some(Direction::Downstream),
            };
        }
        match (self.up.state, self.down.state) {
            // Closing both sockets says what a shutdown of either would.
            (FlowState::Sent | FlowState::Shut, FlowState::Sent | FlowState::Shut) => {
                return Poll::Ready(match self.first_end {
                    Some(Direction::Upstream) => Outcome::ReplicaClosed,
                    _ => Outcome::ClientClosed,
                });
            }
            (FlowState::Sent, _) => self.up.shut(&self.replica),
            (_, FlowState::Sent) => self.down.shut(&self.client),
            _ => {}
        }
        let active = before != self.up.moved.wrapping_add(self.down.moved);
        match &mut self.idle {
            Some(idle) => idle.poll(cx, active).map(|()| Outcome::Idle),
            None => Poll::Pending,
        }
    }
}

/// Goes on until both ways are done, one side resets, or a command ends it.
/// Implemented by hand, since an async function would hold a second copy of `self`.
impl<T: ForwardHooks> Future for Forward<'_, T> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = ready!(self.advance(cx));
        self.prepare_close(outcome);
        Poll::Ready(outcome)
    }
}

#[cfg(test)]
mod tests;

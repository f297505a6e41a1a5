//! Moves bytes both ways between a client and a replica until both are done.
//!
//! A half-close passes through: FIN one way leaves the other way open. A reset
//! passes through as a reset. Nothing is buffered beyond what is in flight, and
//! a connection that is quiet holds no memory but its own state.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, Sleep};

use crate::control::CloseCommand;
use crate::net::pipe::{Buffers, Pipe};
use crate::net::socket::reset_on_close;
use proxy_wasm_engine::{Action, Direction, End};

/// Which chunks of a connection a filter is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataCallbacks {
    /// None.
    None,
    /// The client's first, from then on none; so that bytes need not pass
    /// through the process's memory. What our own filter needs.
    #[default]
    First,
    /// Every one, both ways: for filters that read or change what passes.
    All,
}

/// Looks on while bytes are forwarded.
pub(crate) trait ForwardHooks {
    /// Shows the guest what is held in one way; it may change it.
    fn data(&self, direction: Direction, held: &mut BytesMut, end: End) -> Action;
    /// Whether the guest needs to see more of one way.
    fn wants_more(&self, direction: Direction) -> bool;
    /// The sender of one way has finished, and the guest is not shown so.
    fn ended(&self, direction: Direction);
    /// Counts bytes read from one side.
    fn took(&self, direction: Direction, bytes: usize);
    /// Counts bytes handed to the other side.
    fn moved(&self, direction: Direction, bytes: usize);
    /// Whether whoever held the bytes of one way lets go, and what those that look
    /// at them next say; asked once, then forgotten.
    fn resumed(&self, direction: Direction, held: &mut BytesMut, end: End) -> Option<Action>;
    /// An order, once there is one; until then the task is woken for it.
    fn poll_order(&self, cx: &mut Context<'_>) -> Poll<CloseCommand>;
}

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
            flow.leave_pipe(self.buffers);
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

/// One way of a connection.
struct Flow {
    direction: Direction,
    state: State,
    shown: DataCallbacks,
    /// Read, not yet let go by the guest.
    held: BytesMut,
    /// Let go, not yet taken by the other side.
    unsent: BytesMut,
    /// Present while it holds bytes, or within one poll.
    pipe: Option<Pipe>,
    /// Bytes moved lately; halves each time the stream runs dry.
    pace: usize,
    moved: u64,
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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
enum Side {
    From,
    To,
}

/// The two sockets of a flow.
struct Ends<'a, 'b> {
    from: &'a mut ReadHalf<'b>,
    to: &'a mut WriteHalf<'b>,
}

impl Flow {
    fn new(direction: Direction) -> Flow {
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
    fn poll(
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

    fn resume(&mut self, tap: &impl ForwardHooks) {
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

    fn shut(&mut self, to: &TcpStream) {
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

    fn leave_pipe(&mut self, buffers: &Buffers) {
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

/// Watches for silence without touching the timer at each byte.
struct Idle {
    limit: Duration,
    last: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Idle {
    fn new(limit: Duration) -> Idle {
        Idle {
            limit,
            last: Instant::now(),
            alarm: Box::pin(tokio::time::sleep(limit)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, active: bool) -> Poll<()> {
        if active {
            self.last = Instant::now();
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            let end = self.last + self.limit;
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(end);
        }
        Poll::Pending
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
mod tests;

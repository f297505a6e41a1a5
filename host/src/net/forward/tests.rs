#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::Instant;

use proxy_wasm_engine::Action;

use super::*;
use crate::control::command::{Cutter, SessionControl};
use crate::net::pipe::PipeBudget;
use crate::net::socket::reset_on_close;

/// A filter that is shown chunks, may hold them, and writes in capitals.
#[derive(Default)]
struct Seen {
    shown: RefCell<Vec<(Direction, String, End)>>,
    ended: RefCell<Vec<Direction>>,
    taken: Cell<usize>,
    moved: Cell<usize>,
    hold: Cell<bool>,
    /// Has seen enough with the first chunk.
    sated: Cell<bool>,
    /// Has the connection closed, and lets the bytes go all the same.
    close: Cell<bool>,
    lasting: Cell<bool>,
    control: SessionControl,
}

impl ForwardHooks for Seen {
    fn data(&self, direction: Direction, held: &mut BytesMut, end: End) -> Action {
        let text = String::from_utf8_lossy(held).into_owned();
        self.shown.borrow_mut().push((direction, text, end));
        if self.close.get() {
            self.control.order(CloseCommand::Close);
        }
        // What a filter is shown as it closes is held by the chain, whatever it says.
        if self.hold.get() || self.control.ordered().is_some() {
            return Action::Pause;
        }
        held.make_ascii_uppercase();
        Action::Continue
    }

    fn wants_more(&self, _: Direction) -> bool {
        !self.sated.get()
    }

    fn ended(&self, direction: Direction) {
        self.ended.borrow_mut().push(direction);
    }

    fn moved(&self, _: Direction, bytes: usize) {
        self.moved.set(self.moved.get() + bytes);
    }

    fn took(&self, _: Direction, bytes: usize) {
        self.taken.set(self.taken.get() + bytes);
    }

    fn resumed(&self, direction: Direction, _: &mut BytesMut, _: End) -> Option<Action> {
        let resumed = self.control.take_resumed(direction, 0);
        resumed.then_some(Action::Continue)
    }

    fn take_lasting(&self) -> bool {
        // From the beginning: what is watched then is what is tested.
        !self.lasting.replace(true)
    }

    fn poll_order(&self, cx: &mut Context<'_>) -> Poll<CloseCommand> {
        self.control.poll_order(cx)
    }
}

/// A client and a replica with a forwarder between them.
struct Pair {
    client: TcpStream,
    replica: TcpStream,
    seen: Rc<Seen>,
    outcome: JoinHandle<Outcome>,
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (client, listener.accept().await.unwrap().0)
}

async fn pair(seen: Seen, shown: (DataCallbacks, DataCallbacks), idle: Option<Duration>) -> Pair {
    let timeouts = Timeouts {
        idle,
        ..Timeouts::DEFAULT
    };
    pair_with(seen, shown, timeouts).await
}

async fn pair_with(seen: Seen, shown: (DataCallbacks, DataCallbacks), timeouts: Timeouts) -> Pair {
    forward(Sockets::connect().await, seen, shown, timeouts)
}

/// Both connections of a forwarder, from either end.
struct Sockets {
    client: TcpStream,
    downstream: TcpStream,
    upstream: TcpStream,
    replica: TcpStream,
}

impl Sockets {
    async fn connect() -> Sockets {
        let (client, downstream) = connected().await;
        let (upstream, replica) = connected().await;
        Sockets {
            client,
            downstream,
            upstream,
            replica,
        }
    }
}

fn forward(
    sockets: Sockets,
    seen: Seen,
    shown: (DataCallbacks, DataCallbacks),
    timeouts: Timeouts,
) -> Pair {
    let Sockets {
        client,
        downstream,
        upstream,
        replica,
    } = sockets;
    let seen = Rc::new(seen);
    let hooks = Rc::clone(&seen);
    let outcome = spawn_local(async move {
        let buffers = Buffers::new(PipeBudget::new(usize::MAX));
        Forward::new(&downstream, &upstream, &buffers, &*hooks)
            .show(shown.0, shown.1)
            .timeouts(&timeouts)
            .await
    });
    Pair {
        client,
        replica,
        seen,
        outcome,
    }
}

/// What follows the end of a connection does not take ten seconds.
fn quick() -> Timeouts {
    Timeouts {
        close: Duration::from_millis(50),
        ..Timeouts::DEFAULT
    }
}

const UNSEEN: (DataCallbacks, DataCallbacks) = (DataCallbacks::None, DataCallbacks::None);

async fn plain() -> Pair {
    pair(Seen::default(), UNSEEN, None).await
}

fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let limit = Duration::from_secs(60);
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(limit, test).await.unwrap()
    });
}

/// Bytes that repeat nowhere near a chunk's length, so that a chunk lost,
/// doubled or moved shows.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

async fn send_all(socket: impl AsyncWriteExt + Unpin, bytes: Arc<Vec<u8>>) {
    let mut socket = socket;
    socket.write_all(&bytes).await.unwrap();
    socket.shutdown().await.unwrap();
}

#[test]
fn both_ways_arrive_byte_for_byte() {
    on_one_thread(async {
        let up = Arc::new(pattern(24 << 20));
        let down = Arc::new(pattern((24 << 20) + 77));
        let Pair {
            client,
            replica,
            seen,
            outcome,
        } = plain().await;
        let (mut client_read, client_write) = client.into_split();
        let (mut replica_read, replica_write) = replica.into_split();
        spawn_local(send_all(client_write, Arc::clone(&up)));
        spawn_local(send_all(replica_write, Arc::clone(&down)));
        let at_replica = spawn_local(async move {
            let mut got = Vec::new();
            replica_read.read_to_end(&mut got).await.unwrap();
            got
        });
        let mut at_client = Vec::new();
        client_read.read_to_end(&mut at_client).await.unwrap();
        assert!(
            at_client == *down,
            "the client got other bytes than the replica sent"
        );
        let at_replica = at_replica.await.unwrap();
        assert!(
            at_replica == *up,
            "the replica got other bytes than the client sent"
        );
        assert!(matches!(
            outcome.await.unwrap(),
            Outcome::ClientClosed | Outcome::ReplicaClosed
        ));
        assert_eq!(
            (seen.taken.get(), seen.moved.get()),
            (up.len() + down.len(), up.len() + down.len()),
            "every byte is counted, when it is read and when it is sent"
        );
    });
}

#[test]
fn a_reader_that_starts_late_gets_every_byte() {
    on_one_thread(async {
        // More than the kernel holds between the two (tcp_rmem, tcp_wmem).
        let up = Arc::new(pattern(48 << 20));
        let Pair {
            client,
            mut replica,
            ..
        } = plain().await;
        rustix::net::sockopt::set_socket_recv_buffer_size(&replica, 64 << 10).unwrap();
        let (_client_read, client_write) = client.into_split();
        let mut sending = spawn_local(send_all(client_write, Arc::clone(&up)));
        // The sender stands still once everything between is full.
        let full = tokio::time::timeout(Duration::from_millis(200), &mut sending).await;
        assert!(
            full.is_err(),
            "48 MiB went into a connection that is not read"
        );
        let mut got = Vec::new();
        replica.read_to_end(&mut got).await.unwrap();
        assert!(got == *up, "the bytes changed on the way");
    });
}

#[test]
fn a_half_close_leaves_the_other_way_open() {
    on_one_thread(async {
        let Pair {
            mut client,
            mut replica,
            seen,
            outcome,
        } = plain().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = Vec::new();
        replica.read_to_end(&mut question).await.unwrap();
        assert_eq!(question, b"question");
        replica.write_all(b"answer").await.unwrap();
        drop(replica);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(
            answer, b"answer",
            "a client that half-closed gets its answer"
        );
        let ended = [Direction::Downstream, Direction::Upstream];
        assert_eq!(*seen.ended.borrow(), ended);
        assert_eq!(outcome.await.unwrap(), Outcome::ClientClosed);
    });
}

#[test]
fn the_side_that_ends_first_is_named() {
    on_one_thread(async {
        let Pair {
            mut client,
            replica,
            outcome,
            ..
        } = plain().await;
        drop(replica);
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        drop(client);
        assert_eq!(outcome.await.unwrap(), Outcome::ReplicaClosed);
    });
}

#[test]
fn a_reset_passes_through_as_a_reset() {
    on_one_thread(async {
        let Pair {
            mut client,
            replica,
            outcome,
            ..
        } = plain().await;
        reset_on_close(&replica);
        drop(replica);
        let error = client.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(outcome.await.unwrap(), Outcome::ReplicaReset);

        let Pair {
            client,
            mut replica,
            outcome,
            ..
        } = plain().await;
        reset_on_close(&client);
        drop(client);
        let error = replica.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(outcome.await.unwrap(), Outcome::ClientReset);
    });
}

#[test]
fn nothing_is_shown_to_a_filter_that_wants_no_more() {
    on_one_thread(async {
        let sated = Seen::default();
        sated.sated.set(true);
        let shown = (DataCallbacks::All, DataCallbacks::None);
        let Pair {
            mut client,
            mut replica,
            seen,
            ..
        } = pair(sated, shown, None).await;
        let mut got = [0; 3];
        for (sent, expected, why) in [
            (b"abc", b"ABC", "the first is shown and may be changed"),
            (b"def", b"def", "the second passes unseen"),
        ] {
            client.write_all(sent).await.unwrap();
            replica.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, expected, "{why}");
        }
        let expected = [(Direction::Downstream, "abc".to_owned(), End::More)];
        assert_eq!(*seen.shown.borrow(), expected);
    });
}

#[test]
fn held_bytes_wait_for_the_filter_and_are_shown_whole() {
    on_one_thread(async {
        let seen = Seen::default();
        seen.hold.set(true);
        let shown = (DataCallbacks::All, DataCallbacks::All);
        let Pair {
            mut client,
            mut replica,
            seen,
            ..
        } = pair(seen, shown, None).await;
        client.write_all(b"ab").await.unwrap();
        while seen.shown.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        client.write_all(b"cd").await.unwrap();
        while seen.shown.borrow().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            seen.shown.borrow()[1].1,
            "abcd",
            "a later chunk comes with what is held"
        );
        assert_eq!(
            seen.moved.get(),
            0,
            "nothing goes on before the filter resumes"
        );
        seen.control.resume(Direction::Downstream, 0);
        let mut got = [0; 4];
        replica.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"abcd");
        seen.hold.set(false);
        replica.write_all(b"xy").await.unwrap();
        drop(replica);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"XY");
        let last = (Direction::Upstream, String::new(), End::Last);
        assert_eq!(
            seen.shown.borrow().last(),
            Some(&last),
            "the end is shown too"
        );
    });
}

#[test]
fn a_command_ends_a_quiet_connection() {
    on_one_thread(async {
        let Pair {
            mut client,
            seen,
            outcome,
            ..
        } = plain().await;
        tokio::task::yield_now().await;
        seen.control.order(CloseCommand::Cut(Cutter::Drain));
        assert_eq!(
            outcome.await.unwrap(),
            Outcome::Ordered(CloseCommand::Cut(Cutter::Drain))
        );
        assert!(
            client.read(&mut [0; 8]).await.is_err(),
            "a cut is not an end of stream"
        );
    });
}

#[test]
fn silence_ends_a_connection_only_when_asked_to() {
    on_one_thread(async {
        let limit = Duration::from_millis(50);
        let asked = pair(Seen::default(), UNSEEN, Some(limit)).await;
        let not_asked = plain().await;
        let before = Instant::now();
        assert_eq!(asked.outcome.await.unwrap(), Outcome::Idle);
        assert!(before.elapsed() >= limit, "closed early");
        assert!(!not_asked.outcome.is_finished());
    });
}

mod closing;
mod half_closed;
mod lasting;
mod lost;

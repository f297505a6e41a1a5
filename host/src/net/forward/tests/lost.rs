//! A side whose connection is lost: what came from it before is delivered.

use tokio::net::TcpSocket;

use super::*;
use crate::net::socket::unacknowledged;

const SMALL: u32 = 8 * 1024;

/// A pair whose sides, and what is between, take little at a time.
pub(super) async fn narrow() -> Pair {
    narrow_with(Timeouts::DEFAULT).await
}

pub(super) async fn narrow_with(timeouts: Timeouts) -> Pair {
    // Set before there is a window: one that was offered is not taken back.
    let small = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(SMALL).unwrap();
        socket
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = small().connect(listener.local_addr().unwrap());
    let client = connecting.await.unwrap();
    let (downstream, _) = listener.accept().await.unwrap();
    let listener = small();
    listener.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = listener.listen(1).unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let upstream = connecting.await.unwrap();
    let (replica, _) = listener.accept().await.unwrap();
    for socket in [&downstream, &upstream] {
        let size = SMALL as usize;
        rustix::net::sockopt::set_socket_send_buffer_size(socket, size).unwrap();
    }
    let sockets = Sockets {
        client,
        downstream,
        upstream,
        replica,
    };
    forward(sockets, Seen::default(), UNSEEN, timeouts)
}

/// More than a side takes that is not reading; the rest stays with the forwarder and
/// in its sockets, which have room for it.
pub(super) fn more_than_is_taken() -> Arc<Vec<u8>> {
    Arc::new(pattern(60_000))
}

/// Sends, and waits until all of it has arrived.
pub(super) async fn send_and_see_it_arrive(socket: &mut TcpStream, bytes: &[u8]) {
    socket.write_all(bytes).await.unwrap();
    while unacknowledged(&*socket) > 0 {
        tokio::task::yield_now().await;
    }
}

/// Waits until the forwarder has read this much, of both sides together.
pub(super) async fn until_taken(seen: &Seen, bytes: usize) {
    while seen.taken.get() < bytes {
        tokio::task::yield_now().await;
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_sends_all_before_it_reads() {
    on_one_thread(async {
        for upload in [300_000, 3_000_000] {
            let Pair {
                mut client,
                mut replica,
                outcome,
                ..
            } = narrow().await;
            let server = spawn_local(async move {
                replica.read_exact(&mut [0; 1]).await.unwrap();
                replica.write_all(b"413, and no more").await.unwrap();
            });
            let sent = client.write_all(&pattern(upload)).await;
            sent.expect("a client is not cut off while it sends");
            server.await.unwrap();
            let mut answer = Vec::new();
            let end = client.read_to_end(&mut answer).await;
            assert_eq!(answer, b"413, and no more", "after {upload} bytes");
            end.expect("the answer ends in order");
            drop(client);
            assert_eq!(outcome.await.unwrap(), Outcome::ReplicaClosed);
        }
    });
}

#[test]
fn a_slow_client_keeps_the_tail_when_the_replica_is_gone() {
    on_one_thread(async {
        let Pair {
            mut client,
            mut replica,
            seen,
            outcome,
        } = narrow().await;
        let download = more_than_is_taken();
        send_and_see_it_arrive(&mut replica, &download).await;
        drop(replica);
        // The first write makes the replica's kernel reset; the second one fails.
        for sent in 1..=3 {
            let before = seen.taken.get();
            client.write_all(b"x").await.unwrap();
            until_taken(&seen, before + 1).await;
            assert!(!outcome.is_finished(), "ended after {sent} bytes");
        }
        let mut got = Vec::new();
        let end = client.read_to_end(&mut got).await;
        assert_eq!(got.len(), download.len());
        assert!(got == *download, "the bytes changed on the way");
        end.expect("the replica had finished");
        drop(client);
        assert_eq!(outcome.await.unwrap(), Outcome::ReplicaClosed);
    });
}

#[test]
fn a_replica_keeps_the_tail_of_an_upload_when_the_client_is_gone() {
    on_one_thread(async {
        let Pair {
            mut client,
            mut replica,
            seen,
            outcome,
        } = narrow().await;
        let upload = more_than_is_taken();
        send_and_see_it_arrive(&mut client, &upload).await;
        drop(client);
        for sent in 1..=3 {
            let before = seen.taken.get();
            replica.write_all(b"x").await.unwrap();
            until_taken(&seen, before + 1).await;
            assert!(!outcome.is_finished(), "ended after {sent} bytes");
        }
        let mut got = Vec::new();
        let end = replica.read_to_end(&mut got).await;
        assert_eq!(got.len(), upload.len());
        assert!(got == *upload, "the bytes changed on the way");
        end.expect("the client had finished");
        assert_eq!(outcome.await.unwrap(), Outcome::ClientReset);
    });
}

#[test]
fn what_came_before_a_reset_is_delivered_before_the_reset() {
    on_one_thread(async {
        let download = more_than_is_taken();
        let Pair {
            mut client,
            mut replica,
            outcome,
            ..
        } = narrow().await;
        send_and_see_it_arrive(&mut replica, &download).await;
        reset_on_close(&replica);
        drop(replica);
        expect_all_then_a_reset(&mut client, &download).await;
        assert_eq!(outcome.await.unwrap(), Outcome::ReplicaReset);

        let Pair {
            mut client,
            mut replica,
            outcome,
            ..
        } = narrow().await;
        send_and_see_it_arrive(&mut client, &download).await;
        reset_on_close(&client);
        drop(client);
        expect_all_then_a_reset(&mut replica, &download).await;
        assert_eq!(outcome.await.unwrap(), Outcome::ClientReset);
    });
}

async fn expect_all_then_a_reset(socket: &mut TcpStream, expected: &[u8]) {
    let mut got = Vec::new();
    let end = socket.read_to_end(&mut got).await;
    assert_eq!(got.len(), expected.len());
    assert!(got == expected, "the bytes changed on the way");
    let error = end.expect_err("what was cut off does not end in order");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_replica_that_is_reset_amid_an_upload_without_an_answer_resets_the_client() {
    on_one_thread(async {
        let Pair {
            mut client,
            mut replica,
            outcome,
            ..
        } = narrow().await;
        client.write_all(&more_than_is_taken()).await.unwrap();
        replica.read_exact(&mut [0; 1]).await.unwrap();
        drop(replica);
        let error = client.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(outcome.await.unwrap(), Outcome::ReplicaReset);
    });
}

#[test]
fn a_client_that_never_stops_sending_is_read_for_a_while_only() {
    on_one_thread(async {
        let timeouts = Timeouts {
            close: Duration::from_millis(100),
            ..Timeouts::DEFAULT
        };
        let Pair {
            client,
            mut replica,
            outcome,
            ..
        } = pair_with(Seen::default(), UNSEEN, timeouts).await;
        let (mut client_read, mut client_write) = client.into_split();
        let sending = spawn_local(async move {
            let bytes = pattern(64 << 10);
            while client_write.write_all(&bytes).await.is_ok() {}
        });
        replica.read_exact(&mut [0; 1]).await.unwrap();
        replica.write_all(b"413").await.unwrap();
        drop(replica);
        let mut answer = [0; 3];
        client_read.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"413");
        assert_eq!(outcome.await.unwrap(), Outcome::ReplicaClosed);
        sending.await.unwrap();
    });
}

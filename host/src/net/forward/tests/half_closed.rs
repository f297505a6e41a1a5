//! One side has finished.

use super::*;

const SHOWN: (DataCallbacks, DataCallbacks) = (DataCallbacks::All, DataCallbacks::All);

fn half_close(limit: Duration) -> Timeouts {
    Timeouts {
        half_close: Some(limit),
        ..Timeouts::DEFAULT
    }
}

/// Waits until a filter was shown this many chunks, ends included.
async fn until_shown(seen: &Seen, chunks: usize) {
    while seen.shown.borrow().len() < chunks {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_client_that_finished_and_is_gone_does_not_keep_a_silent_replica() {
    on_one_thread(async {
        let Pair {
            mut client,
            mut replica,
            outcome,
            ..
        } = plain().await;
        client.shutdown().await.unwrap();
        assert_eq!(replica.read(&mut [0; 8]).await.unwrap(), 0);
        reset_on_close(&client);
        drop(client);
        assert_eq!(outcome.await.unwrap(), Outcome::ClientReset);
    });
}

#[test]
fn a_replica_that_finished_and_is_gone_does_not_keep_a_silent_client() {
    on_one_thread(async {
        let Pair {
            mut client,
            mut replica,
            outcome,
            ..
        } = pair_with(Seen::default(), UNSEEN, quick()).await;
        replica.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        reset_on_close(&replica);
        drop(replica);
        assert_eq!(outcome.await.unwrap(), Outcome::ReplicaClosed);
    });
}

#[test]
fn silence_ends_a_half_closed_connection_and_no_other() {
    on_one_thread(async {
        let limit = Duration::from_millis(50);
        let open = pair_with(Seen::default(), UNSEEN, half_close(limit)).await;
        for finishes in [Direction::Downstream, Direction::Upstream] {
            let mut half = pair_with(Seen::default(), UNSEEN, half_close(limit)).await;
            let (first, second) = match finishes {
                Direction::Downstream => (&mut half.client, &mut half.replica),
                Direction::Upstream => (&mut half.replica, &mut half.client),
            };
            let before = Instant::now();
            first.shutdown().await.unwrap();
            assert_eq!(second.read(&mut [0; 8]).await.unwrap(), 0);
            let got = first.read(&mut [0; 8]).await.unwrap();
            assert_eq!(got, 0, "the silent one is taken to have finished");
            assert_eq!(half.outcome.await.unwrap(), Outcome::HalfClosed);
            assert!(before.elapsed() >= limit, "closed early");
        }
        assert!(!open.outcome.is_finished());
    });
}

#[test]
fn a_pause_holds_the_end_with_bytes_and_without() {
    on_one_thread(async {
        for bytes in [&b""[..], b"abc"] {
            let seen = Seen::default();
            seen.hold.set(true);
            let Pair {
                mut client,
                mut replica,
                seen,
                ..
            } = pair(seen, SHOWN, None).await;
            client.write_all(bytes).await.unwrap();
            client.shutdown().await.unwrap();
            let chunks = 1 + usize::from(!bytes.is_empty());
            until_shown(&seen, chunks).await;
            // Something goes the other way after the end was shown.
            seen.hold.set(false);
            replica.write_all(b"x").await.unwrap();
            client.read_exact(&mut [0; 1]).await.unwrap();
            let early = replica.try_read(&mut [0; 8]).map_err(|error| error.kind());
            assert_eq!(early, Err(io::ErrorKind::WouldBlock), "with {bytes:?}");
            seen.control.resume(Direction::Downstream, 0);
            let mut got = Vec::new();
            replica.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, bytes, "the filter let go");
        }
    });
}

#[test]
fn a_replica_that_ended_while_paused_does_not_keep_the_client_for_ever() {
    on_one_thread(async {
        let seen = Seen::default();
        seen.hold.set(true);
        let timeouts = half_close(Duration::from_millis(50));
        let Pair {
            mut client,
            mut replica,
            outcome,
            ..
        } = pair_with(seen, SHOWN, timeouts).await;
        replica.write_all(b"held").await.unwrap();
        drop(replica);
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"", "the filter never let go");
        drop(client);
        assert_eq!(outcome.await.unwrap(), Outcome::HalfClosed);
    });
}

//! What is done for a connection only once it matters.

use std::os::fd::AsFd;

use rustix::net::sockopt;

use super::*;

/// A forwarder whose connection has not been found to last.
fn short(sockets: Sockets) -> Pair {
    let seen = Seen::default();
    seen.lasting.set(true);
    forward(sockets, seen, UNSEEN, Timeouts::DEFAULT)
}

/// It is found to last.
fn lasts(seen: &Seen) {
    seen.lasting.set(false);
    // Wakes the forwarder, as that does.
    seen.control.vm_replaced();
}

#[test]
fn a_replicas_socket_gets_its_options_one_by_one() {
    on_one_thread(async {
        let sockets = Sockets::connect().await;
        let upstream = sockets.upstream.as_fd().try_clone_to_owned().unwrap();
        let options = || {
            let no_delay = sockopt::tcp_nodelay(&upstream).unwrap();
            (no_delay, sockopt::socket_keepalive(&upstream).unwrap())
        };
        let mut pair = short(sockets);
        for (nth, expected, why) in [
            (1, (false, false), "it may be over by now"),
            (2, (true, false), "nothing is held back any more"),
            (3, (true, true), "it lasts"),
        ] {
            if nth == 3 {
                lasts(&pair.seen);
            }
            pair.client.write_all(b"more").await.unwrap();
            pair.replica.read_exact(&mut [0; 4]).await.unwrap();
            assert_eq!(options(), expected, "after write {nth}: {why}");
        }
    });
}

#[test]
fn a_client_that_finished_and_is_gone_is_missed_once_the_connection_lasts() {
    on_one_thread(async {
        let Pair {
            mut client,
            mut replica,
            seen,
            outcome,
        } = short(Sockets::connect().await);
        client.shutdown().await.unwrap();
        assert_eq!(replica.read(&mut [0; 8]).await.unwrap(), 0);
        reset_on_close(&client);
        drop(client);
        lasts(&seen);
        assert_eq!(outcome.await.unwrap(), Outcome::ClientReset);
    });
}

#[test]
fn a_connection_that_lasts_is_watched_at_the_next_replica_as_well() {
    on_one_thread(async {
        let Sockets {
            mut client,
            downstream,
            upstream,
            replica,
        } = Sockets::connect().await;
        let (next, mut next_replica) = connected().await;
        let seen = Seen::default();
        let buffers = Buffers::new(PipeBudget::new(1));
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        drop(replica);
        let mut forward = Forward::new(&downstream, &upstream, &buffers, &seen).keep_first_flight();
        let outcome = (&mut forward).await;
        assert!(matches!(outcome, Outcome::Unserved(_)), "{outcome:?}");
        let resumable = forward.give_up_replica();
        let forward = Forward::new(&downstream, &next, &buffers, &seen).resuming(resumable);
        let gone = async {
            let mut request = Vec::new();
            next_replica.read_to_end(&mut request).await.unwrap();
            reset_on_close(&client);
            drop(client);
            // Says nothing, and stays.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = forward => assert_eq!(outcome, Outcome::ClientReset),
            () = gone => {}
            () = tokio::time::sleep(LIMIT) => panic!("nobody noticed that the client is gone"),
        }
    });
}

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

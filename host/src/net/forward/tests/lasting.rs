//! What is done for a connection only once it matters.

use std::os::fd::AsFd;

use rustix::net::sockopt;

use super::*;

/// A forwarder whose connection has not been found to last.
fn short(sockets: Sockets) -> Pair {
    let seen = Seen::default();
    seen.lasting.set(true);
    forward(sockets, seen, UNSEEN, Timeouts::default())
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

//! A connection that is closed by order or for its silence: what was let go before
//! is delivered, and nothing else.

use super::lost::{more_than_is_taken, narrow, narrow_with, send_and_see_it_arrive};
use super::*;
use crate::control::command::Cutter;

/// Fills what is between a replica and a client that does not read; how much of it
/// the forwarder has taken.
async fn fill(pair: &mut Pair) -> usize {
    send_and_see_it_arrive(&mut pair.replica, &more_than_is_taken()).await;
    let taken = pair.seen.taken.get();
    assert!(pair.seen.moved.get() < taken, "all has gone through");
    taken
}

async fn expect_what_was_let_go(pair: &mut Pair, taken: usize) {
    let mut got = Vec::new();
    let end = pair.client.read_to_end(&mut got).await;
    assert_eq!(got.len(), taken, "of what was let go, this much came");
    assert!(
        got == more_than_is_taken()[..taken],
        "the bytes changed on the way"
    );
    end.expect("the close is an end of stream");
}

#[test]
fn a_close_delivers_what_was_let_go_before() {
    on_one_thread(async {
        let mut pair = narrow().await;
        let taken = fill(&mut pair).await;
        pair.seen.control.order(CloseCommand::Close);
        expect_what_was_let_go(&mut pair, taken).await;
        let outcome = pair.outcome.await.unwrap();
        assert_eq!(outcome, Outcome::Ordered(CloseCommand::Close));
    });
}

#[test]
fn a_silent_connection_is_closed_with_what_was_let_go_before() {
    on_one_thread(async {
        let timeouts = Timeouts {
            idle: Some(Duration::from_millis(50)),
            ..Timeouts::DEFAULT
        };
        let mut pair = narrow_with(timeouts).await;
        let taken = fill(&mut pair).await;
        // The replica, for which nothing is left, is sent a FIN at once.
        assert_eq!(pair.replica.read(&mut [0; 8]).await.unwrap(), 0);
        expect_what_was_let_go(&mut pair, taken).await;
        drop(pair.client);
        assert_eq!(pair.outcome.await.unwrap(), Outcome::Idle);
    });
}

#[test]
fn a_side_that_takes_nothing_of_what_is_left_does_not_hold_up_a_close() {
    on_one_thread(async {
        let timeouts = Timeouts {
            close: Duration::from_millis(50),
            ..Timeouts::DEFAULT
        };
        let mut pair = narrow_with(timeouts).await;
        let taken = fill(&mut pair).await;
        pair.seen.control.order(CloseCommand::Close);
        let outcome = (&mut pair.outcome).await.unwrap();
        assert_eq!(outcome, Outcome::Ordered(CloseCommand::Close));
        let mut got = Vec::new();
        let end = pair.client.read_to_end(&mut got).await;
        end.expect_err("what is not whole does not end in order");
        assert!(got.len() < taken);
    });
}

#[test]
fn a_cut_does_not_wait_for_a_close() {
    on_one_thread(async {
        let mut pair = narrow().await;
        fill(&mut pair).await;
        pair.seen.control.order(CloseCommand::Close);
        tokio::task::yield_now().await;
        assert!(!pair.outcome.is_finished());
        pair.seen.control.order(CloseCommand::Cut(Cutter::Drain));
        let outcome = pair.outcome.await.unwrap();
        assert_eq!(outcome, Outcome::Ordered(CloseCommand::Cut(Cutter::Drain)));
    });
}

#[test]
fn nothing_passes_either_way_from_the_callback_on_that_closes() {
    on_one_thread(async {
        let seen = Seen::default();
        seen.close.set(true);
        let mut sockets = Sockets::connect().await;
        sockets.client.write_all(b"shown").await.unwrap();
        sockets.replica.write_all(b"late").await.unwrap();
        // Both are there when the forwarder looks first.
        sockets.downstream.readable().await.unwrap();
        sockets.upstream.readable().await.unwrap();
        let shown = (DataCallbacks::All, DataCallbacks::None);
        let Pair {
            client: _client,
            mut replica,
            seen,
            outcome,
        } = forward(sockets, seen, shown, quick());
        let ordered = Outcome::Ordered(CloseCommand::Close);
        assert_eq!(outcome.await.unwrap(), ordered);
        assert_eq!(seen.moved.get(), 0);
        let mut got = Vec::new();
        // The end may be a reset: what it sent was not read.
        let _ = replica.read_to_end(&mut got).await;
        assert_eq!(got, b"");
    });
}

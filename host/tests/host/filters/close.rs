//! What passes, and what does not, when a filter closes a connection or fails.

use std::io::ErrorKind;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::chain::{Chain, Running, Wat};
use crate::eventually::within;

/// Where a `!` passes the filter.
const UP: &str = "(i32.eq (call $first (i32.const 2)) (i32.const 33))";
const DOWN: &str = "(i32.eq (call $first (i32.const 3)) (i32.const 33))";

/// A chain with one filter that does something at a `!`, and its two ends.
struct Through {
    host: Running,
    client: TcpStream,
    replica: TcpStream,
}

/// The filter stands alone, or before or behind another one.
async fn each_place(special: Wat, more: Value) -> Vec<(&'static str, Through)> {
    let mut places = Vec::new();
    for place in ["alone", "before another", "behind another"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut chain = Chain::to(listener.local_addr().unwrap());
        if place == "behind another" {
            chain = chain.filter("other", Wat::PLAIN, json!({}));
        }
        chain = chain.filter("special", special, more.clone());
        if place == "before another" {
            chain = chain.filter("other", Wat::PLAIN, json!({}));
        }
        let host = chain.start().await;
        let client = host.connect().await;
        let (replica, _) = within("a replica", listener.accept()).await.unwrap();
        let through = Through {
            host,
            client,
            replica,
        };
        places.push((place, through));
    }
    places
}

/// Sends two chunks, the second of which is the `!`, and expects the first alone.
async fn expect_the_first_alone(from: &mut TcpStream, to: &mut TcpStream, place: &str) {
    from.write_all(b"passes").await.unwrap();
    let mut got = vec![0; 6];
    within(place, to.read_exact(&mut got)).await.unwrap();
    from.write_all(b"!and more").await.unwrap();
    // The end may be a reset: not all that was sent was taken.
    let _ = within(place, to.read_to_end(&mut got)).await;
    assert_eq!(String::from_utf8(got).unwrap(), "passes", "{place}");
}

fn each_way(up: &'static str, down: &'static str) -> [(&'static str, Wat); 2] {
    let up = Wat {
        down: up,
        ..Wat::PLAIN
    };
    let down = Wat {
        up: down,
        ..Wat::PLAIN
    };
    [("up", up), ("down", down)]
}

async fn nothing_passes(wats: [(&'static str, Wat); 2], more: Value) {
    for (way, wat) in wats {
        for (place, mut through) in each_place(wat, more.clone()).await {
            let (client, replica) = (&mut through.client, &mut through.replica);
            let (from, to) = match way {
                "up" => (client, replica),
                _ => (replica, client),
            };
            expect_the_first_alone(from, to, &format!("{way}, {place}")).await;
        }
    }
}

#[tokio::test]
async fn what_a_filter_is_shown_as_it_closes_does_not_pass() {
    let wats = each_way(
        at_mark(UP, "(then (drop (call $close (i32.const 2))))"),
        at_mark(DOWN, "(then (drop (call $close (i32.const 3))))"),
    );
    nothing_passes(wats, json!({})).await;
}

#[tokio::test]
async fn nothing_passes_a_filter_that_must_not_be_passed_by_and_fails() {
    let wats = each_way(
        at_mark(UP, "(then unreachable)"),
        at_mark(DOWN, "(then unreachable)"),
    );
    nothing_passes(wats, json!({ "failure": "closed" })).await;
}

/// A callback that does something at a `!`, and lets all pass.
fn at_mark(mark: &str, then: &str) -> &'static str {
    format!("(if {mark} {then}) (i32.const 0)").leak()
}

#[tokio::test]
async fn a_pause_at_the_end_holds_the_fin_until_the_filter_resumes() {
    let holder = Wat {
        // Of the client it holds the end alone, and lets go at a `!` of the replica.
        down: "(if (local.get $end) (then (call $count (i32.const 2)))) (local.get $end)",
        up: at_mark(DOWN, "(then (drop (call $continue (i32.const 2))))"),
        ..Wat::PLAIN
    };
    for (place, through) in each_place(holder, json!({})).await {
        let Through {
            host,
            mut client,
            mut replica,
        } = through;
        client.write_all(b"a").await.unwrap();
        client.shutdown().await.unwrap();
        let mut got = [0; 1];
        within(place, replica.read_exact(&mut got)).await.unwrap();
        host.until("special_items", |ends| ends == 1).await;
        replica.write_all(b"b").await.unwrap();
        within(place, client.read_exact(&mut got)).await.unwrap();
        let early = replica.try_read(&mut got).map_err(|error| error.kind());
        assert_eq!(early, Err(ErrorKind::WouldBlock), "{place}: not yet");
        replica.write_all(b"!").await.unwrap();
        let end = within(place, replica.read(&mut got)).await.unwrap();
        assert_eq!(end, 0, "{place}: resumed");
    }
}

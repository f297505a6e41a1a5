//! What a client sent goes to another replica when the first one ends before its
//! first byte, and only then.

mod client_hello;
mod scripted;
mod world;

use std::time::Duration;

use dtr_lb::HostOptions;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually::within;
use crate::filters::chain::{Chain, Wat};
use crate::running::{admin_says, options};
use client_hello::{client_hello, early_data};
use scripted::{Act, End, Scripted};
use world::World;

#[tokio::test]
async fn what_may_be_sent_again_is_served_by_the_next_replica() {
    let world = World::start().await;
    let hello = client_hello();
    let get = b"GET /v2/ HTTP/1.1\r\nhost: a\r\n\r\n".to_vec();
    let head = b"HEAD / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n".to_vec();
    let options = b"OPTIONS * HTTP/1.0\r\n\r\n".to_vec();
    let cases = [
        ("nothing", vec![]),
        ("a ClientHello", hello.clone()),
        ("the first bytes of a ClientHello", hello[..3].to_vec()),
        ("half a ClientHello", hello[..hello.len() / 2].to_vec()),
        ("GET", get.clone()),
        ("half of a GET", get[..get.len() - 3].to_vec()),
        ("HEAD", head),
        ("OPTIONS", options),
    ];
    let mut resent = 0;
    for (why, sent) in cases {
        // A reset at once may come before the connect is known to have succeeded, and
        // is a connect failure then.
        let ends = [End::Close, End::Reset];
        for end in ends.into_iter().take(1 + usize::from(!sent.is_empty())) {
            let why = format!("{why}, then {end:?}");
            world.r0.will(Act::end_after(sent.len(), end));
            world.r1.will(Act::answer_after(sent.len()));
            let mut client = world.connect().await;
            client.write_all(&sent).await.unwrap();
            gets_answer(&mut client, &why).await;
            client.write_all(b"more").await.unwrap();
            client.shutdown().await.unwrap();
            is_over(&mut client, Ok(0), &why).await;
            let whole = [&sent[..], b"more"].concat();
            assert_eq!(world.r1.got().await, whole, "{why}");
            assert_eq!(world.r0.got().await, sent, "{why}");
            world.is_logged(&client, 2, 1, whole.len()).await;
            resent += 1;
        }
    }
    let line = format!("dtr_lb_host_first_flight_resent_total {resent}");
    admin_says(&world.host, "/metrics", &line).await;
    admin_says(
        &world.host,
        "/metrics",
        "dtr_lb_host_connect_failures_total 0",
    )
    .await;
    assert_eq!(world.r2.connections(), 0, "the second of the route served");
}

#[tokio::test]
async fn what_must_not_be_sent_again_is_passed_on_as_it_happened() {
    let world = World::start().await;
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    let put = "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let cases = [
        ("POST", post.into()),
        ("PUT", put.into()),
        ("pipelined GETs", get.repeat(2).into_bytes()),
        ("a GET and the begin of a POST", format!("{get}P").into()),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        ("SSH", "SSH-2.0-x\r\n".into()),
        ("early data", early_data()),
        (
            "a ClientHello and more",
            [&client_hello()[..], b"\x14"].concat(),
        ),
        (
            "too long a GET",
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(16 * 1024)).into(),
        ),
    ];
    for (why, sent) in cases {
        for (end, expected) in [(End::Close, Ok(0)), (End::Reset, Err(()))] {
            let why = format!("{why}, then {end:?}");
            world.r0.will(Act::end_after(sent.len(), end));
            let mut client = world.connect().await;
            client.write_all(&sent).await.unwrap();
            is_over(&mut client, expected, &why).await;
            assert!(world.r0.got().await == sent, "{why}");
            client.shutdown().await.ok();
            world.is_logged(&client, 1, 0, sent.len()).await;
        }
    }
    assert_eq!(world.r1.connections() + world.r2.connections(), 0);
    let line = "dtr_lb_host_first_flight_resent_total 0";
    admin_says(&world.host, "/metrics", line).await;
}

#[tokio::test]
async fn a_client_hello_in_several_segments_is_sent_again_whole() {
    let world = World::start().await;
    let hello = client_hello();
    let (first, second) = hello.split_at(100);
    world.r0.will(Act::end_after(first.len(), End::Reset));
    world.r1.will(Act::end_after(first.len(), End::Close));
    world.r2.will(Act::answer_after(hello.len()));
    let mut client = world.connect().await;
    for part in first.chunks(30) {
        client.write_all(part).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(world.r0.got().await, first);
    assert_eq!(world.r1.got().await, first);
    client.write_all(second).await.unwrap();
    gets_answer(&mut client, "all segments").await;
    drop(client);
    assert_eq!(world.r2.got().await, hello);
}

#[tokio::test]
async fn the_first_byte_of_a_replica_settles_it() {
    let world = World::start().await;
    let get = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for (end, expected) in [(End::Close, Ok(0)), (End::Reset, Err(()))] {
        let mut act = Act::end_after(get.len(), end);
        act.says = b"H";
        world.r0.will(act);
        let mut client = world.connect().await;
        client.write_all(get).await.unwrap();
        let mut first = [0];
        within("its byte", client.read_exact(&mut first))
            .await
            .unwrap();
        is_over(&mut client, expected, "after one byte").await;
        assert_eq!(world.r0.got().await, get);
    }
    assert_eq!(world.r1.connections(), 0);
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard() {
    let world = World::start().await;
    world.r0.will(Act::end_after(0, End::Close));
    world.r1.will(Act::answer_after(0));
    let mut client = world.connect().await;
    gets_answer(&mut client, "before the client says anything").await;
    client.write_all(b"POST").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(world.r1.got().await, b"POST");
}

#[tokio::test]
async fn a_half_closed_client_is_served_if_it_asked_for_something() {
    let world = World::start().await;
    let get = b"GET / HTTP/1.0\r\n\r\n";
    let mut act = Act::end_after(get.len(), End::Close);
    act.until_fin = true;
    world.r0.will(act);
    world.r1.will(Act::answer_after(get.len()));
    let mut client = world.connect().await;
    client.write_all(get).await.unwrap();
    client.shutdown().await.unwrap();
    gets_answer(&mut client, "a whole request").await;
    assert_eq!(world.r0.got().await, get);
    assert_eq!(world.r1.got().await, get, "and the FIN after it");

    for sent in [&b""[..], b"GET / HTTP/1.0\r\n", &client_hello()] {
        let mut act = Act::end_after(sent.len(), End::Close);
        act.until_fin = true;
        world.r0.will(act);
        let mut client = world.connect().await;
        client.write_all(sent).await.unwrap();
        client.shutdown().await.unwrap();
        is_over(&mut client, Ok(0), "it wants nothing more").await;
        assert_eq!(world.r0.got().await, sent);
    }
    assert_eq!(world.r1.connections(), 1);
}

#[tokio::test]
async fn when_all_replicas_end_each_is_asked_once_and_the_last_end_passes() {
    let world = World::start().await;
    let get = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for (end, expected) in [(End::Close, Ok(0)), (End::Reset, Err(()))] {
        world.r0.will(Act::end_after(get.len(), End::Reset));
        world.r1.will(Act::end_after(get.len(), End::Close));
        world.r2.will(Act::end_after(get.len(), end));
        let mut client = world.connect().await;
        client.write_all(get).await.unwrap();
        is_over(&mut client, expected, "as the last replica did").await;
        for replica in [&world.r0, &world.r1, &world.r2] {
            assert_eq!(replica.got().await, get);
        }
        client.shutdown().await.ok();
        world.is_logged(&client, 3, 2, get.len()).await;
    }
    let asked = [&world.r0, &world.r1, &world.r2].map(Scripted::connections);
    assert_eq!(asked, [2, 2, 2], "each once for each client");
}

#[tokio::test]
async fn a_replica_that_resets_what_it_accepts_costs_nobody_anything() {
    let world = World::start().await;
    let get = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for _ in 0..50 {
        // Before, while or after the request reaches it: all is fine.
        world.r0.will(Act::end_after(0, End::Reset));
        world.r1.will(Act::answer_after(get.len()));
        let mut client = world.connect().await;
        client.write_all(get).await.unwrap();
        gets_answer(&mut client, "reset on accept").await;
        drop(client);
        assert_eq!(world.r1.got().await, get);
    }
    assert_eq!(world.r0.connections(), 50, "each began with the first");
}

#[tokio::test]
async fn nothing_is_sent_again_after_the_dial_limit() {
    let limit = Duration::from_millis(50);
    let options = HostOptions {
        dial_limit: limit,
        ..options()
    };
    let world = World::with(options, json!({})).await;
    let get = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut act = Act::end_after(get.len(), End::Close);
    act.pause = limit;
    world.r0.will(act);
    let mut client = world.connect().await;
    client.write_all(get).await.unwrap();
    is_over(&mut client, Ok(0), "too late for another").await;
    assert_eq!(world.r1.connections(), 0);
}

#[tokio::test]
async fn a_replica_that_waited_in_vain_for_a_request_is_left_in_peace() {
    let world = World::with(options(), json!({ "connect_timeout": "50ms" })).await;
    for sent in [&b""[..], b"GET / HTTP/1.1\r\n"] {
        let mut act = Act::end_after(sent.len(), End::Close);
        // Far more than the timeout, so that it is all the same whose clock starts first.
        act.pause = Duration::from_millis(200);
        world.r0.will(act);
        let mut client = world.connect().await;
        client.write_all(sent).await.unwrap();
        is_over(&mut client, Ok(0), "its patience is over").await;
    }
    assert_eq!(world.r1.connections(), 0);
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let world = World::with(options(), json!({ "resend_first_flight": false })).await;
    world.r0.will(Act::end_after(0, End::Close));
    let mut client = world.connect().await;
    is_over(&mut client, Ok(0), "as it happened").await;
    assert_eq!(world.r1.connections(), 0);
}

#[tokio::test]
async fn filters_are_shown_nothing_twice() {
    let (r0, r1) = (Scripted::start().await, Scripted::start().await);
    let get = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let counting = Wat {
        down: "(call $count (i32.const 2)) (i32.const 0)",
        ..Wat::PLAIN
    };
    let host = Chain::to(r0.address)
        .endpoint(r1.address)
        .filter("counting", counting, json!({}))
        .filter("tags", Wat::TAGS, json!({ "configuration": "G" }))
        .start()
        .await;
    r0.will(Act::end_after(get.len(), End::Reset));
    r1.will(Act::answer_after(get.len()));
    let mut client = host.connect().await;
    client.write_all(&get[1..]).await.unwrap();
    let mut answer = [0; 7];
    within("an answer", client.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"Ganswer", "what the second replica says is shown");
    assert_eq!(host.metric("counting_items").await, Some(1));
    drop(client);
    assert_eq!(r0.got().await, get, "what the filters made of it");
    let again = [get, &b"G"[..]].concat();
    let why = "and the same again, then what they make of the FIN";
    assert_eq!(r1.got().await, again, "{why}");
}

async fn gets_answer(client: &mut TcpStream, why: &str) {
    let mut answer = [0; 6];
    let read = within(why, client.read_exact(&mut answer)).await;
    read.unwrap_or_else(|error| panic!("{why}: {error}"));
    assert_eq!(&answer, b"answer", "{why}");
}

/// Wants the client's connection to end, by FIN or by reset, without another byte.
async fn is_over(client: &mut TcpStream, expected: Result<usize, ()>, why: &str) {
    let read = within(why, client.read(&mut [0; 8])).await;
    assert_eq!(read.map_err(|_| ()), expected, "{why}");
}

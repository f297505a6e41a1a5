//! What a pause holds, and what ends it.

use super::chain::Chain;
use super::chain::Wat;
use super::chain::answers;
use super::chain::guest;
use crate::eventually::within;
use crate::guest::PAUSE;
use crate::replica::Replica;
use bytes::Bytes;
use http::Request;
use http::Response;
use http::StatusCode;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_pause_holds_later_filters_and_the_dial_until_data_is_let_pass() {
    let replica = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let holder = Wat {
        new_connection: PAUSE,
        // Lets pass what begins with g.
        down: "(i32.ne (call $first (i32.const 2)) (i32.const 103))",
        ..Wat::PLAIN
    };
    let host = Chain::to(replica.local_addr().unwrap())
        .filter("holder", holder, json!({}))
        .filter("later", Wat::TAGS, json!({ "configuration": "L" }))
        .start()
        .await;
    let mut client = host.connect().await;
    host.until("holder_opened", |opened| opened == 1).await;
    assert_eq!(
        host.metric("later_opened").await,
        Some(0),
        "it is not asked yet"
    );
    client.write_all(b"go").await.unwrap();
    let (mut socket, _) = within("a dial", replica.accept()).await.unwrap();
    let mut got = [0; 3];
    within("bytes", socket.read_exact(&mut got)).await.unwrap();
    assert_eq!(
        &got, b"Lgo",
        "what was held is shown to the later filter and sent on"
    );
    assert_eq!(host.metric("later_opened").await, Some(1));
    // A byte that does not begin with g is held by the first one, and so are all after it.
    client.write_all(b"?").await.unwrap();
    client.shutdown().await.unwrap();
    socket.write_all(b"y").await.unwrap();
    let mut answer = [0; 2];
    within("bytes", client.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"Ly", "the other way is open");
}

#[tokio::test]
async fn what_a_pause_took_is_not_taken_from_the_dial() {
    let holder = Wat {
        configure: "(drop (call $tick_period (i32.const 5)))",
        new_connection: PAUSE,
        ..Wat::PLAIN
    };
    let mut chain = Chain::to(Replica::echo().await.address).filter("holder", holder, json!({}));
    chain.dial_limit = Duration::from_millis(50);
    let host = chain.start().await;
    let mut client = host.connect().await;
    host.until("holder_opened", |opened| opened == 1).await;
    let held_from = host.until("holder_ticks", |ticks| ticks > 0).await;
    host.until("holder_ticks", |ticks| ticks > held_from + 20)
        .await;
    let why = "it is dialled for as if it had not been held";
    answers(&mut client, "x", "x", why).await;
}

#[tokio::test]
async fn a_pause_ends_when_the_guest_continues_the_stream() {
    let holder = Wat {
        new_connection: "(global.set $held (local.get $context)) (i32.const 1)",
        down: PAUSE,
        configure: "(drop (call $tick_period (i32.const 5)))",
        tick: "(if (global.get $held) (then
            (drop (call $act_as (global.get $held)))
            (drop (call $continue (i32.const 2)))))",
        ..Wat::PLAIN
    };
    let host = Chain::to(Replica::echo().await.address)
        .filter("first", Wat::TAGS, json!({ "configuration": "1" }))
        .filter("holder", holder, json!({}))
        .filter("later", Wat::TAGS, json!({ "configuration": "2" }))
        .start()
        .await;
    let mut client = host.connect().await;
    answers(
        &mut client,
        "x",
        "1221x",
        "it pauses all, and lets go at its tick",
    )
    .await;
    answers(
        &mut client,
        "y",
        "1221y",
        "and again while bytes are forwarded",
    )
    .await;
}

#[tokio::test]
async fn a_filter_may_close_the_connection() {
    let closes = Wat {
        down: "(drop (call $close (i32.const 2))) (i32.const 1)",
        ..Wat::PLAIN
    };
    let host = Chain::to(Replica::echo().await.address)
        .filter("before", Wat::PLAIN, json!({}))
        .filter("closes", closes, json!({}))
        .start()
        .await;
    let mut client = host.connect().await;
    client.write_all(b"x").await.unwrap();
    let mut rest = Vec::new();
    let read = within("the close", client.read_to_end(&mut rest)).await;
    assert!(read.is_err() || rest.is_empty(), "{rest:?}");
    for name in ["before_closed", "closes_closed"] {
        host.until(name, |closed| closed == 1).await;
    }
}

#[tokio::test]
async fn a_gate_that_asks_elsewhere_lets_in_who_may() {
    let wasm = guest("tcp_gate");
    let cases = [("200 OK", true), ("403 Forbidden", false)];
    for (status, open) in cases {
        let judge = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = judge.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut socket, _) = judge.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(head).unwrap()
        });
        let host = Chain::to(Replica::echo().await.address)
            .cluster(json!({ "name": "gate", "endpoints": [address] }))
            .module("gate", &wasm, json!({}))
            .start()
            .await;
        let mut client = host.connect().await;
        let me = client.local_addr().unwrap();
        if open {
            answers(&mut client, "x", "x", "it may pass").await;
        } else {
            let mut rest = Vec::new();
            let read = within("the close", client.read_to_end(&mut rest)).await;
            assert_eq!(read.unwrap(), 0, "it may not");
        }
        let asked = within("the judge", asked).await.unwrap();
        assert!(asked.starts_with(&format!("GET /may/{me} ")), "{asked}");
    }
}

#[tokio::test]
async fn a_call_to_a_cluster_of_http2_speaks_it() {
    let judge = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = judge.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = judge.accept().await.unwrap();
        let service = service_fn(|request: Request<Incoming>| async move {
            let right = request.version() == http::Version::HTTP_2
                && request.uri().authority().is_some_and(|name| name == "gate")
                && request.uri().path().starts_with("/may/127.0.0.1:");
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = if right {
                StatusCode::OK
            } else {
                StatusCode::FORBIDDEN
            };
            Ok::<_, Infallible>(response)
        });
        let serving = http2::Builder::new(TokioExecutor::new());
        // It ends when the client has its answer.
        let _ = serving
            .serve_connection(TokioIo::new(socket), service)
            .await;
    });
    let host = Chain::to(Replica::echo().await.address)
        .cluster(json!({ "name": "gate", "endpoints": [address], "protocol": "http2" }))
        .module("gate", &guest("tcp_gate"), json!({}))
        .start()
        .await;
    let mut client = host.connect().await;
    answers(&mut client, "x", "x", "it may pass").await;
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_is_held_is_let_go() {
    let holder = Wat {
        new_connection: PAUSE,
        down: "(call $count (i32.const 2)) (i32.const 1)",
        ..Wat::PLAIN
    };
    let host = Chain::to(Replica::echo().await.address)
        .filter("holder", holder, json!({}))
        .start()
        .await;
    let mut client = host.connect().await;
    client.write_all(b"x").await.unwrap();
    host.until("holder_opened", |opened| opened == 1).await;
    client.shutdown().await.unwrap();
    host.until("holder_items", |items| items > 0).await;
    client.set_zero_linger().unwrap();
    drop(client);
    host.until("dtr_lb_host_connections_active", |active| active == 0)
        .await;
}

#[tokio::test]
async fn what_a_vm_held_as_it_failed_does_not_pass_the_next_one() {
    let first = Wat {
        // It holds the first connection, until its client sends something.
        new_connection: "(if (result i32) (i32.eqz (global.get $held)) (then
            (global.set $held (i32.const 1)) (i32.const 1)) (else (i32.const 0)))",
        ..Wat::PLAIN
    };
    let second = Wat {
        configure: "(drop (call $tick_period (i32.const 5)))",
        new_connection: PAUSE,
        down: "(if (i32.eq (call $first (i32.const 2)) (i32.const 33)) (then unreachable))
            (i32.const 1)",
        ..Wat::PLAIN
    };
    let host = Chain::to(Replica::echo().await.address)
        .filter("first", first, json!({}))
        .filter("second", second, json!({}))
        .start()
        .await;
    let mut held = host.connect().await;
    host.until("first_opened", |opened| opened == 1).await;
    let mut other = host.connect().await;
    answers(&mut other, "!", "!", "the second fails, and is passed").await;
    host.until("dtr_lb_host_vm_reloads_total", |reloads| reloads == 1)
        .await;
    held.write_all(b"x").await.unwrap();
    let opened = host.until("second_opened", |opened| opened == 2).await;
    let ticks = host.metric("second_ticks").await.unwrap();
    host.until("second_ticks", |now| now > ticks + 10).await;
    let read = held.try_read(&mut [0; 1]).map_err(|error| error.kind());
    assert_eq!(
        read,
        Err(std::io::ErrorKind::WouldBlock),
        "the new VM holds it; opened {opened}"
    );
}

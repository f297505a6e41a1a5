//! Chains of network filters on a running host, with real sockets: whose turn it
//! is, what a pause holds, and what the failure of one means for the others.

mod chain;
mod grpc;

use std::convert::Infallible;
use std::num::NonZeroUsize;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use chain::{Chain, Wat, answers, guest};

use crate::eventually::within;
use crate::guest::PAUSE;
use crate::replica::Replica;

#[tokio::test]
async fn the_first_filter_meets_the_client_first_and_the_replica_last() {
    let host = Chain::to(Replica::echo().await.address)
        .filter("one", Wat::TAGS, json!({ "configuration": "1" }))
        .filter("two", Wat::TAGS, json!({ "configuration": "2" }))
        .start()
        .await;
    let mut client = host.connect().await;
    // Up: 1x, then 21x; down: 221x, then 1221x.
    answers(
        &mut client,
        "x",
        "1221x",
        "two filters that put a mark before",
    )
    .await;
}

#[tokio::test]
async fn filters_of_one_vm_id_and_one_module_share_a_vm() {
    let wat = Wat::PLAIN.text("shared");
    let cases = [
        ("each without an id", json!({}), json!({}), 2),
        (
            "one id",
            json!({ "vm_id": "v" }),
            json!({ "vm_id": "v" }),
            1,
        ),
        (
            "two ids",
            json!({ "vm_id": "v" }),
            json!({ "vm_id": "w" }),
            2,
        ),
        (
            "one id, other limits",
            json!({ "vm_id": "v" }),
            json!({ "vm_id": "v", "memory": "1MiB" }),
            2,
        ),
    ];
    for (why, first, second, vms) in cases {
        let host = Chain::to(Replica::echo().await.address)
            .module("shared", wat.as_bytes(), first)
            .module("shared", wat.as_bytes(), second)
            .start()
            .await;
        assert_eq!(
            host.metric("dtr_lb_host_vm_running").await,
            Some(vms),
            "{why}"
        );
        let mut client = host.connect().await;
        answers(&mut client, "x", "x", why).await;
        assert_eq!(
            host.metric("shared_opened").await,
            Some(2),
            "{why}: both are asked"
        );
    }
}

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
async fn replies_wait_while_a_filter_wants_to_see_more_of_them() {
    let replica = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let whole = Wat {
        // Until four bytes are there.
        up: "(call $count (i32.const 2))
            (if (result i32) (i32.lt_u (local.get $size) (i32.const 4))
            (then (i32.const 1)) (else (call $tag (i32.const 3)) (i32.const 0)))",
        ..Wat::PLAIN
    };
    let host = Chain::to(replica.local_addr().unwrap())
        .filter("outer", Wat::TAGS, json!({ "configuration": "o" }))
        .filter("whole", whole, json!({ "configuration": "w" }))
        .start()
        .await;
    let mut client = host.connect().await;
    let (mut socket, _) = within("a dial", replica.accept()).await.unwrap();
    socket.write_all(b"ab").await.unwrap();
    host.until("whole_items", |shown| shown == 1).await;
    socket.write_all(b"cd").await.unwrap();
    let mut got = [0; 6];
    within("bytes", client.read_exact(&mut got)).await.unwrap();
    assert_eq!(
        &got, b"owabcd",
        "the outer filter sees what the inner one let go"
    );
}

#[tokio::test]
async fn a_filter_that_needs_no_more_is_not_asked_again() {
    let once = Wat {
        down: "(call $tag (i32.const 2))
            (drop (call $foreign (i32.const 1400) (i32.const 16) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0))) (i32.const 0)",
        ..Wat::PLAIN
    };
    let host = Chain::to(Replica::echo().await.address)
        .filter("once", once, json!({ "configuration": "1" }))
        .filter("always", Wat::TAGS, json!({ "configuration": "2" }))
        .start()
        .await;
    let mut client = host.connect().await;
    answers(&mut client, "x", "221x", "the first chunk is shown to both").await;
    answers(&mut client, "y", "22y", "the second to one of them").await;
}

#[tokio::test]
async fn a_crash_of_one_filter_costs_no_other_filter_and_no_connection() {
    let fragile = Wat {
        configure: "(drop (call $tick_period (i32.const 5)))",
        down: "(if (i32.eq (call $first (i32.const 2)) (i32.const 33)) (then unreachable))
            (call $tag (i32.const 2)) (i32.const 0)",
        ..Wat::PLAIN
    };
    let host = Chain::to(Replica::echo().await.address)
        .filter("fragile", fragile, json!({ "configuration": "F" }))
        .filter("sturdy", Wat::TAGS, json!({ "configuration": "S" }))
        .start()
        .await;
    let mut older = host.connect().await;
    answers(&mut older, "a", "SSFa", "both look on").await;
    let mut client = host.connect().await;
    answers(&mut client, "!", "SS!", "the bytes at which it fails pass").await;
    answers(&mut client, "b", "SSb", "and so do those that follow").await;
    answers(&mut older, "c", "SSc", "on other connections as well").await;
    host.until("dtr_lb_host_vm_reloads_total", |reloads| reloads == 1)
        .await;
    assert_eq!(host.metric("dtr_lb_host_vm_failures_total").await, Some(1));
    let mut newer = host.connect().await;
    answers(&mut newer, "d", "SSFd", "it is back for new connections").await;
    answers(&mut older, "e", "SSe", "older ones go on without it").await;
    let ticks = host.metric("fragile_ticks").await.unwrap();
    host.until("fragile_ticks", |now| now > ticks).await;
    drop((older, client, newer));
    host.until("sturdy_closed", |closed| closed == 3).await;
    host.until("fragile_closed", |closed| closed == 1).await;
}

#[tokio::test]
async fn a_crash_lets_go_what_the_filter_held() {
    let holder = Wat {
        configure: "(drop (call $tick_period (i32.const 5)))",
        // It fails at the first tick after a connection came.
        tick: "(if (global.get $held) (then unreachable))",
        new_connection: "(global.set $held (i32.const 1)) (i32.const 1)",
        ..Wat::PLAIN
    };
    let host = Chain::to(Replica::echo().await.address)
        .filter("holder", holder, json!({}))
        .filter("sturdy", Wat::TAGS, json!({ "configuration": "S" }))
        .start()
        .await;
    let mut client = host.connect().await;
    host.until("dtr_lb_host_vm_failures_total", |failures| failures == 1)
        .await;
    answers(
        &mut client,
        "x",
        "SSx",
        "it goes on without the one that held it",
    )
    .await;
}

#[tokio::test]
async fn what_a_failed_filter_means_for_connections_is_the_operators_choice() {
    let fragile = Wat {
        new_connection: "(if (i32.eqz (global.get $held)) (then
            (global.set $held (i32.const 1))) (else unreachable)) (i32.const 0)",
        down: "(call $tag (i32.const 2)) (i32.const 0)",
        ..Wat::PLAIN
    };
    for (failure, passes) in [("reload", true), ("open", true), ("closed", false)] {
        let more = json!({ "configuration": "F", "failure": failure });
        let host = Chain::to(Replica::echo().await.address)
            .filter("fragile", fragile, more)
            .start()
            .await;
        let mut first = host.connect().await;
        answers(&mut first, "a", "Fa", failure).await;
        // The second connection is one too many.
        let mut second = host.connect().await;
        if passes {
            answers(&mut second, "b", "b", failure).await;
            answers(&mut first, "c", "c", failure).await;
        } else {
            for client in [&mut first, &mut second] {
                let mut rest = Vec::new();
                let read = within(failure, client.read_to_end(&mut rest)).await;
                assert!(read.is_err() || rest.is_empty(), "{failure}: {rest:?}");
            }
        }
        if failure == "open" {
            assert_eq!(host.metric("dtr_lb_host_vm_running").await, Some(0));
        } else {
            host.until("dtr_lb_host_vm_running", |running| running == 1)
                .await;
            let mut third = host.connect().await;
            answers(&mut third, "d", "Fd", failure).await;
        }
    }
}

#[tokio::test]
async fn an_item_reaches_the_filter_that_registered_the_queue_on_its_own_thread() {
    let reader = Wat {
        configure: "(drop (call $register (i32.const 1600) (i32.const 5) (i32.const 2300)))",
        queue_ready: "(call $count (i32.const 2))",
        ..Wat::PLAIN
    };
    let writer = Wat {
        new_connection: "(drop (call $resolve (i32.const 1500) (i32.const 7) (i32.const 1600)
                (i32.const 5) (i32.const 2300)))
            (drop (call $enqueue (i32.load (i32.const 2300)) (i32.const 1600) (i32.const 5)))
            (i32.const 0)",
        ..Wat::PLAIN
    };
    let mut chain = Chain::to(Replica::echo().await.address)
        .filter("reader", reader, json!({ "vm_id": "readers" }))
        .filter("writer", writer, json!({ "vm_id": "writers" }));
    chain.workers = NonZeroUsize::new(2).unwrap();
    let host = chain.start().await;
    // Connections land on both workers; the queue's reader lives on one.
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = host.connect().await;
        answers(&mut client, "x", "x", "the chain lets pass").await;
        clients.push(client);
    }
    host.until("reader_items", |items| items == 20).await;
}

#[tokio::test]
async fn a_filter_reads_how_much_came() {
    let reads = Wat {
        log: "(drop (call $property (i32.const 1700) (i32.const 12) (i32.const 2400) (i32.const 2404)))
            (drop (call $record (i32.load (i32.const 2016))
                (i64.load (i32.load (i32.const 2400)))))",
        ..Wat::PLAIN
    };
    let host = Chain::to(Replica::echo().await.address)
        .filter("reads", reads, json!({}))
        .start()
        .await;
    let mut client = host.connect().await;
    answers(&mut client, "five!", "five!", "it passes").await;
    drop(client);
    host.until("reads_received", |received| received == 5).await;
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
async fn the_balancer_is_the_last_filter_of_a_chain() {
    let (one, two) = (Replica::echo().await.address, Replica::echo().await.address);
    let replica = |name: &str, at: std::net::SocketAddr| json!({ "name": name, "address": at.ip(), "ports": { "443": at.port() } });
    let host = Chain::to(one)
        .filter("tags", Wat::TAGS, json!({ "configuration": "t" }))
        .start_balancing(json!([replica("r1", one), replica("r2", two)]))
        .await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = host.connect().await;
        answers(
            &mut client,
            "x",
            "ttx",
            "the filter before the balancer looks on",
        )
        .await;
        clients.push(client);
    }
    for replica in ["r1", "r2"] {
        let name = format!("dtr_lb_replica_active{{replica=\"{replica}\"}}");
        host.until(&name, |active| active == 2).await;
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
async fn a_reload_leaves_a_filter_to_the_connections_it_holds() {
    let judge = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut host = Chain::to(Replica::echo().await.address)
        .cluster(json!({ "name": "gate", "endpoints": [judge.local_addr().unwrap()] }))
        .module("gate", &guest("tcp_gate"), json!({}))
        .filter("tags", Wat::TAGS, json!({ "configuration": "t" }))
        .start()
        .await;
    let mut client = host.connect().await;
    let (mut asked, _) = judge.accept().await.unwrap();
    host.reload().await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(asked.read_u8().await.unwrap());
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    asked.write_all(answer).await.unwrap();
    answers(&mut client, "x", "ttx", "it waited through the reload").await;
}

//! Which filter sees what, and in which order.

use super::chain::Chain;
use super::chain::Wat;
use super::chain::answers;
use crate::eventually::within;
use crate::replica::Replica;
use serde_json::json;
use std::num::NonZeroUsize;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

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
        let wasm = wat::parse_str(&wat).unwrap();
        let host = Chain::to(Replica::echo().await.address)
            .module("shared", &wasm, first)
            .module("shared", &wasm, second)
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

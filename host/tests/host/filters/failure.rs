//! What the failure of one filter means for the others, and a reload for all.

use super::chain::Chain;
use super::chain::Wat;
use super::chain::answers;
use super::chain::guest;
use crate::eventually::within;
use crate::replica::Replica;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

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

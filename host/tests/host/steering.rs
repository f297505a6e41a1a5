//! Where the guest sends connections, and what its failures cost.

use std::time::Duration;

use dtr_lb::Host;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::eventually::{eventually, within};
use crate::guest::{CRASH, Guest, PING, REFUSE, START_TICKS};
use crate::plan::plan;
use crate::replica::Replica;
use crate::running::{
    admin, admin_says, connect, echoes, get, is_closed, metric, options, post, start,
};

#[tokio::test]
async fn the_guest_picks_the_replica() {
    let (r0, r1) = (Replica::start("r0").await, Replica::start("r1").await);
    let host = start(Guest::steering_to("443/r1"), &[&r0, &r1]).await;
    for _ in 0..4 {
        let (mut client, name) = connect(&host).await;
        assert_eq!(name, "r1");
        echoes(&mut client, "bytes pass").await;
    }
}

#[tokio::test]
async fn a_guest_that_does_not_pick_leaves_it_to_the_pool() {
    let (r0, r1) = (Replica::start("r0").await, Replica::start("r1").await);
    let host = start(Guest::PLAIN, &[&r0, &r1]).await;
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(connect(&host).await.1);
    }
    assert_eq!(names, ["r0", "r1", "r0", "r1"]);
}

#[tokio::test]
async fn a_refused_replica_costs_the_client_nothing() {
    let (r0, r1) = (Replica::refusing().await, Replica::start("r1").await);
    let host = start(Guest::steering_to("443/r0>r1"), &[&r0, &r1]).await;
    assert_eq!(connect(&host).await.1, "r1");
    admin_says(&host, "/metrics", "dtr_lb_host_connect_failures_total 1").await;
}

#[tokio::test]
async fn without_a_replica_the_client_is_let_go() {
    let r0 = Replica::refusing().await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    let mut client = TcpStream::connect(host.listeners()[0]).await.unwrap();
    is_closed(&mut client, "nobody can serve it").await;
    let line = "dtr_lb_host_connections_closed_total{reason=\"no-replica\"} 1";
    admin_says(&host, "/metrics", line).await;
}

#[tokio::test]
async fn the_guest_may_refuse_a_connection() {
    let r0 = Replica::start("r0").await;
    let host = start(
        Guest {
            new_connection: REFUSE,
            ..Guest::PLAIN
        },
        &[&r0],
    )
    .await;
    let mut client = TcpStream::connect(host.listeners()[0]).await.unwrap();
    is_closed(&mut client, "refused by the filter").await;
    let line = "dtr_lb_host_connections_closed_total{reason=\"refused-by-filter\"} 1";
    admin_says(&host, "/metrics", line).await;
}

#[tokio::test]
async fn a_guest_that_crashes_cuts_nobody_and_comes_back() {
    let (r0, r1) = (Replica::start("r0").await, Replica::start("r1").await);
    let guest = Guest {
        request_body: CRASH,
        ..Guest::steering_to("443/r1")
    };
    let mut options = options();
    options.reload_backoff = Duration::from_secs(3);
    let host = Host::start(plan(&[&r0, &r1]), guest.wat().as_bytes(), options)
        .await
        .unwrap();
    let (mut before, _) = connect(&host).await;

    let answer = admin(&host, &post("/", 3)).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    echoes(&mut before, "an established connection outlives its guest").await;
    let (_during, first) = connect(&host).await;
    let (_during_too, second) = connect(&host).await;
    assert_eq!(
        [first, second],
        ["r0", "r1"],
        "meanwhile the pool serves, in turn"
    );

    admin_says(&host, "/metrics", "dtr_lb_host_vm_reloads_total 1").await;
    admin_says(&host, "/metrics", "dtr_lb_host_vm_failures_total 1").await;
    for _ in 0..3 {
        assert_eq!(connect(&host).await.1, "r1", "the guest steers again");
    }
    echoes(&mut before, "nor does its successor harm it").await;
}

#[tokio::test]
async fn a_guest_that_crashes_on_a_connection_does_not_cost_that_connection() {
    let r0 = Replica::start("r0").await;
    let host = start(
        Guest {
            new_connection: CRASH,
            ..Guest::PLAIN
        },
        &[&r0],
    )
    .await;
    let (mut client, name) = connect(&host).await;
    assert_eq!(name, "r0");
    echoes(&mut client, "the fallback serves").await;
}

#[tokio::test]
async fn the_guests_calls_are_made_and_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let r0 = Replica {
        address: listener.local_addr().unwrap(),
        _bound: None,
    };
    let guest = Guest {
        configure: START_TICKS,
        tick: PING,
        ..Guest::PLAIN
    };
    let host = start(guest, &[&r0]).await;
    let (mut probe, _) = within("the guest's call", listener.accept()).await.unwrap();
    let mut request = vec![0; 1024];
    let read = within("its request", probe.read(&mut request))
        .await
        .unwrap();
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    assert!(request.starts_with("GET /_ping HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("host: dtr.test\r\n"), "{request}");
    drop(listener);
    probe
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    eventually("the guest to count an answer", async || {
        match metric(&host, "guest_answers").await {
            Some(1..) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let metrics = admin(&host, &get("/metrics")).await;
    assert!(
        metrics.contains("# TYPE guest_answers counter\n"),
        "{metrics}"
    );
}

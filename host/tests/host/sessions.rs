//! Connections: how many, on which worker, and the line each leaves.

use std::num::NonZeroUsize;
use std::time::Duration;

use dtr_lb::Host;
use tokio::io::AsyncWriteExt;

use crate::guest::Guest;
use crate::log::log;
use crate::plan::plan;
use crate::replica::Replica;
use crate::running::{admin_says, connect, echoes, is_closed, options, start};

#[tokio::test]
async fn workers_share_a_port_and_every_connection_is_served() {
    let r0 = Replica::start("r0").await;
    let mut options = options();
    options.workers = NonZeroUsize::new(3).unwrap();
    let wat = Guest::steering_to("443/r0").wat();
    let host = Host::start(plan(&[&r0]), wat.as_bytes(), options)
        .await
        .unwrap();
    let mut open = Vec::new();
    for _ in 0..30 {
        open.push(connect(&host).await);
    }
    admin_says(&host, "/metrics", "dtr_lb_host_connections_active 30").await;
    admin_says(&host, "/metrics", "dtr_lb_host_vm_running 3").await;
}

#[tokio::test]
async fn sessions_beyond_the_limit_wait_for_a_place() {
    let r0 = Replica::start("r0").await;
    let mut options = options();
    options.max_sessions = 1;
    let host = Host::start(plan(&[&r0]), Guest::PLAIN.wat().as_bytes(), options)
        .await
        .unwrap();
    let (first, _) = connect(&host).await;
    let waiting = connect(&host);
    let mut waiting = std::pin::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "the second was served beside the first");
    drop(first);
    assert_eq!(waiting.await.1, "r0");
}

#[tokio::test]
async fn each_connection_leaves_one_line_that_says_why_it_ended() {
    let log = log();
    let (r0, r1) = (Replica::refusing().await, Replica::start("r1").await);
    let host = start(Guest::steering_to("443/r0>r1"), &[&r0, &r1]).await;
    let (mut client, _) = connect(&host).await;
    // Another test's client may have had this port.
    let listener = host.listeners()[0];
    let me = format!(
        "client={} listener={listener} ",
        client.local_addr().unwrap()
    );
    echoes(&mut client, "bytes pass").await;
    client.shutdown().await.unwrap();
    is_closed(&mut client, "the replica ends as well").await;
    host.drain(Duration::from_secs(5)).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let mine = |line: &&str| line.contains(" access: ") && line.contains(&me);
    let lines: Vec<_> = text.lines().filter(mine).collect();
    assert_eq!(lines.len(), 1, "{text}");
    for part in [
        "replica=\"r1\"",
        "attempts=2",
        "up=12",
        "down=14",
        "reason=\"client-closed\"",
    ] {
        assert!(lines[0].contains(part), "{part} is missing in {}", lines[0]);
    }
}

//! Connections: how many, on which worker, and the line each leaves.

use std::num::NonZeroUsize;
use std::time::Duration;

use dtr_lb::{Host, SessionList};
use tokio::io::AsyncWriteExt;

use crate::guest::Guest;
use crate::log::log;
use crate::plan::plan;
use crate::replica::Replica;
use crate::running::{admin, admin_says, connect, echoes, is_closed, options, start};

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

#[tokio::test]
async fn sessions_of_before_a_reload_are_listed_and_ended() {
    let (r0, r1) = (Replica::start("r0").await, Replica::start("r1").await);
    let both = [&r0, &r1];
    let mut host = start(Guest::steering_to("443/r0"), &both).await;
    let (mut old, _) = connect(&host).await;
    let later = Guest::steering_to("443/r1").wat();
    host.reload(plan(&both), later.as_bytes()).await.unwrap();
    let (mut new, _) = connect(&host).await;

    let list = admin(&host, &sessions("GET", "")).await;
    let (_, list) = list.split_once("\r\n\r\n").unwrap();
    let list: SessionList = serde_json::from_str(list).unwrap();
    let listed = list.sessions.iter();
    let listed: Vec<_> = listed
        .map(|session| (session.client, session.replica.as_deref()))
        .collect();
    let expected = [
        (old.local_addr().unwrap(), Some("r0")),
        (new.local_addr().unwrap(), Some("r1")),
    ];
    assert_eq!((list.total, listed.as_slice()), (2, &expected[..]));

    let killed = admin(&host, &sessions("DELETE", "?replica=r0")).await;
    assert!(
        killed.ends_with("{\"replica\":\"r0\",\"killed\":1}\n"),
        "{killed}"
    );
    is_closed(&mut old, "it is ended").await;
    echoes(&mut new, "it is not").await;
    let line = "dtr_lb_host_connections_closed_total{reason=\"killed\"} 1";
    admin_says(&host, "/metrics", line).await;
}

#[tokio::test]
async fn what_can_not_be_asked_of_sessions_is_refused_and_ends_none() {
    let r0 = Replica::start("r0").await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    let (mut client, _) = connect(&host).await;
    let cases = [
        ("DELETE", "", 400, "say whose sessions"),
        ("GET", "?replica=r9", 404, "known: r0"),
        ("DELETE", "?replica=r9", 404, "known: r0"),
        ("DELETE", "?name=r0", 400, "replica=NAME"),
        ("DELETE", "?replica=r0&replica=r1", 400, "replica=NAME"),
        ("GET", "?sort=age", 400, "replica=NAME"),
        ("POST", "?replica=r0", 405, "allow: GET, HEAD, DELETE"),
        ("PUT", "", 405, "is not one of"),
    ];
    for (method, query, status, part) in cases {
        let answer = admin(&host, &sessions(method, query)).await;
        let begins = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&begins), "{method} {query}: {answer}");
        assert!(answer.contains(part), "{method} {query}: {answer}");
    }
    let elsewhere = sessions("DELETE", "?replica=r0");
    for (why, from, to) in [
        ("a rebound name", "127.0.0.1", "evil.example.com"),
        (
            "another site's page",
            "connection: close",
            "connection: close\r\norigin: https://evil.example.com",
        ),
    ] {
        let refused = admin(&host, &elsewhere.replace(from, to)).await;
        assert!(refused.starts_with("HTTP/1.1 403 "), "{why}: {refused}");
    }
    echoes(&mut client, "it goes on").await;
}

fn sessions(method: &str, query: &str) -> String {
    format!("{method} /sessions{query} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
}

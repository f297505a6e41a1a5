//! Limits of connections.

use std::io::ErrorKind;
use std::num::NonZeroUsize;

use dtr_lb::Host;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::eventually::{eventually, within};
use crate::guest::Guest;
use crate::plan::plan_of;
use crate::replica::Replica;
use crate::running::{admin, admin_says, connect, get, metric, options};

/// A host with two workers before one replica.
async fn start(replica: &Replica, fields: Value) -> Host {
    let mut options = options();
    options.workers = NonZeroUsize::new(2).unwrap();
    let plan = plan_of(with(replica, fields));
    let wat = Guest::PLAIN.wat();
    let started = Host::start(plan, wat.as_bytes(), options);
    within("the start", started).await.unwrap()
}

fn with(replica: &Replica, mut fields: Value) -> Value {
    fields["replicas"] = json!([{
        "name": "r0",
        "address": replica.address.ip(),
        "ports": { "443": replica.address.port() },
    }]);
    fields
}

/// Its name comes once it is served.
async fn is_served(client: &mut TcpStream, why: &str) {
    let read = within(why, client.read_exact(&mut [0; 2])).await;
    read.unwrap_or_else(|error| panic!("{why}: {error}"));
}

#[tokio::test]
async fn workers_share_a_limit_of_one() {
    let r0 = Replica::start("r0").await;
    let host = start(&r0, json!({ "max_connections": 1 })).await;
    // Enough that both workers have some.
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(TcpStream::connect(host.listeners()[0]).await.unwrap());
    }
    let mut waiting = clients;
    while !waiting.is_empty() {
        admin_says(&host, "/metrics", "dtr_lb_host_connections_active 1").await;
        // Any of them is served, and then gives way.
        let served = within("somebody to be served", first_served(&mut waiting)).await;
        drop(waiting.swap_remove(served));
    }
    admin_says(&host, "/metrics", "dtr_lb_host_connections_active 0").await;
    admin_says(&host, "/metrics", "dtr_lb_host_connections_limit 1").await;
    let waited = metric(&host, "dtr_lb_host_connections_limit_reached_total").await;
    assert!(waited.unwrap() > 0, "{waited:?}");
    drop(connect(&host).await);
}

/// The place of the one that is served; the others must wait.
async fn first_served(waiting: &mut [TcpStream]) -> usize {
    let served = loop {
        if let Some(place) = waiting.iter().position(is_served_now) {
            break place;
        }
        tokio::task::yield_now().await;
    };
    // What has come for the others is known after another look at the sockets.
    tokio::task::yield_now().await;
    let second = waiting.iter().position(is_served_now);
    assert_eq!(second, None, "served as well as {served}");
    served
}

/// Whether some of its name is there, which is taken.
fn is_served_now(client: &TcpStream) -> bool {
    match client.try_read(&mut [0; 2]) {
        Ok(0) => panic!("a client that waits was closed"),
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("a client that waits was cut: {error}"),
    }
}

#[tokio::test]
async fn what_began_before_a_reload_counts_and_a_new_limit_holds_at_once() {
    let r0 = Replica::start("r0").await;
    let mut host = start(&r0, json!({ "max_connections": 2 })).await;
    let (first, _) = connect(&host).await;
    let (second, _) = connect(&host).await;
    let wat = Guest::PLAIN.wat();
    let same = plan_of(with(&r0, json!({ "max_connections": 2 })));
    host.reload(same, wat.as_bytes()).await.unwrap();

    let mut third = TcpStream::connect(host.listeners()[0]).await.unwrap();
    admin_says(
        &host,
        "/metrics",
        "dtr_lb_host_connections_limit_reached_total 1",
    )
    .await;
    assert_eq!(
        metric(&host, "dtr_lb_host_connections_active").await,
        Some(2)
    );
    drop(first);
    is_served(&mut third, "the first has gone").await;

    let mut fourth = TcpStream::connect(host.listeners()[0]).await.unwrap();
    admin_says(
        &host,
        "/metrics",
        "dtr_lb_host_connections_limit_reached_total 2",
    )
    .await;
    assert_eq!(
        metric(&host, "dtr_lb_host_connections_active").await,
        Some(2)
    );
    let more = plan_of(with(&r0, json!({ "max_connections": 3 })));
    host.reload(more, wat.as_bytes()).await.unwrap();
    is_served(&mut fourth, "the limit is higher now").await;
    drop((second, third, fourth));
    admin_says(&host, "/metrics", "dtr_lb_host_connections_active 0").await;
}

#[tokio::test]
async fn a_full_listener_keeps_nobody_from_another() {
    let r0 = Replica::start("r0").await;
    let listeners = json!([
        { "bind": "127.0.0.1:0", "port": 443, "max_connections": 1 },
        { "bind": "127.0.0.1:0", "port": 443 },
    ]);
    let fields = json!({ "listeners": listeners, "max_connections": 3 });
    let host = start(&r0, fields).await;
    let (full, _) = connect(&host).await;
    let mut waits = Vec::new();
    for _ in 0..10 {
        waits.push(TcpStream::connect(host.listeners()[0]).await.unwrap());
    }
    // Two remain, whichever waits at the full one.
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut other = TcpStream::connect(host.listeners()[1]).await.unwrap();
        is_served(&mut other, "the other listener has room").await;
        others.push(other);
    }
    admin_says(&host, "/metrics", "dtr_lb_host_connections_active 3").await;
    drop((full, others));
    within("those who waited", first_served(&mut waits)).await;
}

#[tokio::test]
async fn the_guest_is_shown_the_limit_that_holds() {
    let r0 = Replica::start("r0").await;
    let host = within(
        "the start",
        Host::start(
            plan_of(with(&r0, json!({ "max_connections": 7 }))),
            dtr_lb::FILTER,
            options(),
        ),
    )
    .await
    .unwrap();
    let _open = connect(&host).await;
    eventually("the connection in the status", async || {
        let status = admin(&host, &get("/status")).await;
        let body = status.split("\r\n\r\n").nth(1).unwrap_or_default();
        let status: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{status}"));
        match status["connections"] == json!({ "active": 1, "limit": 7 }) {
            true => Ok(()),
            false => Err(status["connections"].to_string()),
        }
    })
    .await;
}

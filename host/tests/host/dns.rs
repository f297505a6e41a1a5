//! Replicas that are given by name.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};

use dtr_lb::{Host, Lookup};
use serde_json::json;

use crate::eventually::eventually;
use crate::guest::Guest;
use crate::plan::plan_of;
use crate::replica::Replica;
use crate::running::{connect, echoes, options};

#[tokio::test]
async fn new_connections_go_where_the_name_points_now() {
    let (r0, r1) = on_one_port().await;
    let points_to = Arc::new(Mutex::new(r0.address.ip()));
    let mut options = options();
    options.lookup = lookup(&points_to);
    let plan = plan_of(json!({
        "replicas": [{
            "name": "moving", "address": "moving.test", "ports": { "443": r0.address.port() },
        }],
        "dns_refresh": "10ms",
    }));
    let host = Host::start(plan, Guest::PLAIN.wat().as_bytes(), options)
        .await
        .unwrap();
    let (mut before, name) = connect(&host).await;
    assert_eq!(name, "r0");

    *points_to.lock().unwrap() = r1.address.ip();

    eventually("a connection to the new address", async || {
        match connect(&host).await.1 {
            name if name == "r1" => Ok(()),
            other => Err(other),
        }
    })
    .await;
    for _ in 0..5 {
        assert_eq!(connect(&host).await.1, "r1", "the old address is forgotten");
    }
    echoes(&mut before, "open connections go on").await;
}

#[tokio::test]
async fn a_reload_keeps_what_dns_said_while_dns_fails() {
    let r0 = Replica::start("r0").await;
    let ip = r0.address.ip();
    let works = Arc::new(AtomicBool::new(true));
    let failures = Arc::new(AtomicUsize::new(0));
    let (asked, failed) = (Arc::clone(&works), Arc::clone(&failures));
    let mut options = options();
    options.lookup = Arc::new(move |_| {
        let answer = if asked.load(Relaxed) {
            Ok(vec![ip])
        } else {
            failed.fetch_add(1, Relaxed);
            Err(std::io::Error::other("down"))
        };
        Box::pin(std::future::ready(answer))
    });
    let plan = || {
        plan_of(json!({
            "replicas": [{
                "name": "r0", "address": "kept.test", "ports": { "443": r0.address.port() },
            }],
            // Only reloads ask again.
            "dns_refresh": "1h",
        }))
    };
    let wat = Guest::PLAIN.wat();
    let mut host = Host::start(plan(), wat.as_bytes(), options).await.unwrap();
    assert_eq!(connect(&host).await.1, "r0");
    works.store(false, Relaxed);
    for round in 1..=3 {
        host.reload(plan(), wat.as_bytes()).await.unwrap();
        // A reload waits for no name that is known.
        eventually(
            &format!("{round} failed look-ups"),
            async || match failures.load(Relaxed) {
                failures if failures == round => Ok(()),
                failures => Err(failures.to_string()),
            },
        )
        .await;
        assert_eq!(connect(&host).await.1, "r0", "the last good answer stands");
    }
}

fn lookup(points_to: &Arc<Mutex<IpAddr>>) -> Lookup {
    let points_to = Arc::clone(points_to);
    Arc::new(move |name| {
        assert_eq!(name, "moving.test");
        let address = *points_to.lock().unwrap();
        Box::pin(async move { Ok(vec![address]) })
    })
}

/// Two replicas on one port of two addresses: a name knows no port.
async fn on_one_port() -> (Replica, Replica) {
    for _ in 0..100 {
        let r0 = Replica::start("r0").await;
        let other = SocketAddr::from(([127, 0, 0, 2], r0.address.port()));
        // The port may be taken there.
        if let Ok(r1) = Replica::at(other, "r1").await {
            return (r0, r1);
        }
    }
    panic!("no port is free on both addresses");
}

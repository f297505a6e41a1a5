//! A replica's limit of connections.

use dtr_lb_tests::{Connection, Healthy, LIMIT, Proxy, Replica, eventually, on_each_proxy};
use serde_json::json;

on_each_proxy!(a_full_replica_is_passed_over, |world| {
    let small = world
        .replica(Replica::healthy().with("max_connections", 2))
        .await;
    let large = world.replica(Replica::healthy()).await;
    let proxy = world.proxy_with(json!({ "policy": "round-robin" })).await;
    proxy.sees(&small, Healthy).await;
    proxy.sees(&large, Healthy).await;

    let mut held = Vec::new();
    for _ in 0..30 {
        let mut connection = proxy.connect().await;
        connection.who().await;
        held.push(connection);
    }

    // A worker learns of the other's connections with its next heartbeat, and
    // so each of the two may give it two of its own.
    let share = small.connections();
    assert!((2..=4).contains(&share), "{share} of 30 at a limit of 2");
    proxy.is_in_state(&small, "full").await;

    drop(held);
    proxy.is_in_state(&small, "healthy").await;
    proxy.reaches(&small).await;
});

on_each_proxy!(
    when_all_are_full_clients_are_refused_with_a_reason_of_its_own,
    |world| {
        let one = world
            .replica(Replica::healthy().with("max_connections", 2))
            .await;
        let other = world
            .replica(Replica::healthy().with("max_connections", 3))
            .await;
        let proxy = world.proxy().await;
        proxy.sees(&one, Healthy).await;
        proxy.sees(&other, Healthy).await;

        let mut held = fill(&proxy).await;

        assert!(
            (5..=6).contains(&held.len()),
            "{} at limits of 5, one worker at most ahead of the other",
            held.len()
        );
        proxy.is_in_state(&one, "full").await;
        proxy.is_in_state(&other, "full").await;
        let all_full = r#"dtr_lb_listener_refused_total{listener="443",reason="all-full"}"#;
        let all_down = r#"dtr_lb_listener_refused_total{listener="443",reason="all-down"}"#;
        proxy.measures(all_down, 0.0).await;
        eventually(LIMIT, "refusals to be counted", async || {
            let metrics = proxy.metrics().await;
            match metrics.get(all_full) {
                Some(20.0..) => Ok(()),
                found => Err(format!("{found:?} of {metrics:#?}")),
            }
        })
        .await;
        assert_eq!(proxy.ping().await.0, 200, "full is not sick");

        held.clear();
        eventually(LIMIT, "room for a connection", async || {
            let who = proxy.connect().await.try_who().await;
            who.map_err(|error| error.to_string())
        })
        .await;
        proxy.counts(&one, "active", 0).await;
        proxy.counts(&other, "active", 0).await;
    }
);

/// Holds connections until twenty in a row were refused: whichever worker they
/// came to, it knows that all are full.
async fn fill(proxy: &Proxy) -> Vec<Connection> {
    let mut held = Vec::new();
    let mut refused = 0;
    while refused < 20 {
        let mut connection = proxy.connect().await;
        match connection.try_who().await {
            Ok(_) => {
                held.push(connection);
                refused = 0;
            }
            Err(_) => refused += 1,
        }
        assert!(held.len() < 50, "nobody is ever full");
    }
    held
}

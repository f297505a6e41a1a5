//! What the access log says of a connection.

use dtr_lb_tests::{Healthy, Ping, Replica, Traffic, Unhealthy, on_each_proxy};
use serde_json::json;

on_each_proxy!(
    the_log_says_who_served_and_how_often_it_was_tried,
    |world| {
        let refuses = world.replica(Replica::healthy().with("weight", 1000)).await;
        let serves = world.replica(Replica::healthy()).await;
        let proxy = world.proxy_with(json!({ "policy": "round-robin" })).await;
        proxy.sees(&refuses, Healthy).await;
        proxy.sees(&serves, Healthy).await;
        let mut connection = proxy.connect().await;
        connection.answered_by(&refuses).await;
        drop(connection);
        let listener = format!("listener={}", proxy.address());
        let served = "replica=\"r1\" address=127.0.0.1:";
        proxy
            .logs_a_connection(&[&listener, served, " attempts=1 ", " down="])
            .await;

        refuses.refuses_clients().await;
        let mut connection = proxy.connect().await;
        connection.answered_by(&serves).await;
        drop(connection);
        let served = "replica=\"r2\" address=127.0.0.1:";
        proxy.logs_a_connection(&[served, " attempts=2 "]).await;
    }
);

on_each_proxy!(the_log_says_why_a_connection_is_refused, |world| {
    let only = world
        .replica(Replica::pings(Ping::fails("rethinkdb: down")))
        .await;
    let proxy = world.proxy_with(json!({})).await;
    proxy.sees(&only, Unhealthy).await;
    proxy.connect().await.is_refused().await;
    let nobody = "replica=\"-\" address=- ";
    proxy
        .logs_a_connection(&[nobody, "reason=\"all-down\""])
        .await;

    only.now_pings(Ping::healthy());
    proxy.sees(&only, Healthy).await;
    proxy.order(&only, "maintenance").await;
    proxy.connect().await.is_refused().await;
    proxy
        .logs_a_connection(&[nobody, "reason=\"all-away\""])
        .await;
});

on_each_proxy!(the_log_says_that_a_replica_was_full, |world| {
    let only = world
        .replica(Replica::serves(Traffic::Echoes).with("max_connections", 1))
        .await;
    let proxy = world.proxy().await;
    proxy.sees(&only, Healthy).await;
    let mut held = proxy.connect().await;
    held.echoes(b"it is open").await;
    proxy.connect().await.is_refused().await;
    proxy
        .logs_a_connection(&["address=- ", "reason=\"all-full\""])
        .await;
});

on_each_proxy!(the_log_says_that_a_replica_went_down, |world| {
    let only = world.replica(Replica::serves(Traffic::Echoes)).await;
    let proxy = world.proxy_with(json!({ "on_down": "close" })).await;
    proxy.sees(&only, Healthy).await;
    let mut held = proxy.connect().await;
    held.echoes(b"it is open").await;
    only.now_pings(Ping::fails("registry: disk full"));
    held.is_cut().await;
    proxy
        .logs_a_connection(&["replica=\"r1\"", "reason=\"replica-down\""])
        .await;
});

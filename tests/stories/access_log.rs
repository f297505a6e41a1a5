//! What the access log says of a connection.

use dtr_lb_tests::{
    Healthy, LIMIT, Ping, Proxy, Replica, Traffic, Unhealthy, eventually, on_each_proxy,
};
use serde_json::json;

/// Waits for a line of the access log that has all of this.
async fn logs_a_line(proxy: &Proxy, fields: &[&str]) {
    let what = format!("a line with {fields:?}");
    eventually(LIMIT, what, async || {
        let lines = proxy.logged("access: connection ");
        let has_all = |line: &&String| fields.iter().all(|field| line.contains(field));
        match lines.iter().find(has_all) {
            Some(_) => Ok(()),
            None => Err(format!("{lines:#?}")),
        }
    })
    .await;
}

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
        logs_a_line(&proxy, &[&listener, served, " attempts=1 ", " down="]).await;

        refuses.refuses_clients().await;
        let mut connection = proxy.connect().await;
        connection.answered_by(&serves).await;
        drop(connection);
        let served = "replica=\"r2\" address=127.0.0.1:";
        logs_a_line(&proxy, &[served, " attempts=2 "]).await;
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
    logs_a_line(&proxy, &[nobody, "reason=\"all-down\""]).await;

    only.now_pings(Ping::healthy());
    proxy.sees(&only, Healthy).await;
    proxy.order(&only, "maintenance").await;
    proxy.connect().await.is_refused().await;
    logs_a_line(&proxy, &[nobody, "reason=\"all-away\""]).await;
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
    logs_a_line(&proxy, &["address=- ", "reason=\"all-full\""]).await;
});

on_each_proxy!(the_log_says_that_a_replica_went_down, |world| {
    let only = world.replica(Replica::serves(Traffic::Echoes)).await;
    let proxy = world.proxy_with(json!({ "on_down": "close" })).await;
    proxy.sees(&only, Healthy).await;
    let mut held = proxy.connect().await;
    held.echoes(b"it is open").await;
    only.now_pings(Ping::fails("registry: disk full"));
    held.is_cut().await;
    logs_a_line(&proxy, &["replica=\"r1\"", "reason=\"replica-down\""]).await;
});

//! A replica that can't be reached costs no client anything.

use std::collections::BTreeMap;

use dtr_lb_tests::{
    Healthy, LIMIT, Ping, Replica, Standin, Traffic, Unhealthy, World, eventually, on_each_proxy,
};
use serde_json::json;

on_each_proxy!(a_refusing_replica_costs_no_client_an_error, |world| {
    let well = world.replica(Replica::healthy()).await;
    let other = world.replica(Replica::healthy()).await;
    let down = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    for replica in [&well, &other, &down] {
        proxy.sees(replica, Healthy).await;
    }

    // Its /_ping still answers, so only the connect attempts can tell.
    down.refuses_clients().await;

    assert_shared_by(&proxy.answers(60).await, [&well, &other]);
    proxy.failed_to_reach(&down).await;
});

on_each_proxy!(a_vanished_replica_costs_no_client_an_error, |world| {
    let well = world.replica(Replica::healthy()).await;
    let other = world.replica(Replica::healthy()).await;
    let gone = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    for replica in [&well, &other, &gone] {
        proxy.sees(replica, Healthy).await;
    }

    gone.swallows_clients().await;

    assert_shared_by(&proxy.answers(30).await, [&well, &other]);
    proxy.failed_to_reach(&gone).await;
});

on_each_proxy!(a_crowd_does_not_notice_a_refusing_replica, |world| {
    let well = world.replica(Replica::healthy()).await;
    let down = world.replica(Replica::healthy()).await;
    let other = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    for replica in [&well, &other, &down] {
        proxy.sees(replica, Healthy).await;
    }

    down.refuses_clients().await;

    assert_shared_by(&proxy.crowd(8, 40).await, [&well, &other]);
    proxy.failed_to_reach(&down).await;
});

on_each_proxy!(a_crowd_does_not_notice_a_vanished_replica, |world| {
    let well = world.replica(Replica::healthy()).await;
    let gone = world.replica(Replica::healthy()).await;
    let other = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    for replica in [&well, &other, &gone] {
        proxy.sees(replica, Healthy).await;
    }

    gone.swallows_clients().await;

    assert_shared_by(&proxy.crowd(8, 20).await, [&well, &other]);
    proxy.failed_to_reach(&gone).await;
});

on_each_proxy!(a_replica_that_stops_leaves_and_comes_back, |world| {
    let well = world.replica(Replica::healthy()).await;
    let stopped = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&well, Healthy).await;
    proxy.sees(&stopped, Healthy).await;

    stopped.stops().await;
    for _ in 0..20 {
        proxy.connect().await.answered_by(&well).await;
    }
    proxy.sees(&stopped, Unhealthy).await;

    stopped.returns();
    proxy.sees(&stopped, Healthy).await;
    proxy.reaches(&stopped).await;
});

on_each_proxy!(a_vanished_machine_leaves_with_its_ping, |world| {
    let well = world.replica(Replica::healthy()).await;
    let gone = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&well, Healthy).await;
    proxy.sees(&gone, Healthy).await;

    gone.vanishes().await;

    proxy.sees(&gone, Unhealthy).await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&well).await;
    }
});

on_each_proxy!(
    with_one_refusing_and_one_sick_the_third_serves_everybody,
    |world| {
        let refusing = world.replica(Replica::healthy()).await;
        let sick = world
            .replica(Replica::pings(Ping::fails("registry: read-only")))
            .await;
        let third = world.replica(Replica::healthy()).await;
        let proxy = world.proxy().await;
        proxy.sees(&sick, Unhealthy).await;
        proxy.sees(&refusing, Healthy).await;
        let before = sick.connections();

        refusing.refuses_clients().await;

        for _ in 0..50 {
            proxy.connect().await.answered_by(&third).await;
        }
        proxy.failed_to_reach(&refusing).await;
        assert_eq!(sick.connections(), before, "the sick one was tried");
    }
);

on_each_proxy!(a_replica_that_resets_unserved_clients_leaves, |world| {
    leaves(world, Traffic::ResetsAtOnce, b"GET /").await;
});

on_each_proxy!(a_replica_that_closes_on_unserved_clients_leaves, |world| {
    // Sent once only: who knows what became of it.
    leaves(world, Traffic::ClosesUnserved, b"POST /").await;
});

on_each_proxy!(a_client_that_ends_first_blames_no_replica, |world| {
    let replica = world.replica(Replica::serves(Traffic::Swallows)).await;
    let proxy = world
        .proxy_with(json!({ "passive": { "hold": "60s" } }))
        .await;
    proxy.sees(&replica, Healthy).await;
    for _ in 0..5 {
        let mut client = proxy.connect().await;
        client.send(b"nothing to answer").await;
        client.half_close().await;
        assert_eq!(client.rest().await, "");
    }
    proxy.counts(&replica, "total", 5).await;
    proxy.counts(&replica, "active", 0).await;
    proxy.is_in_state(&replica, "healthy").await;
});

/// Wants a replica that treats requests so to be held back after the first, and all
/// others to be served.
async fn leaves(world: &World, traffic: Traffic, request: &[u8]) {
    let well = world.replica(Replica::healthy()).await;
    let broken = world.replica(Replica::serves(traffic)).await;
    let proxy = world
        .proxy_with(json!({ "policy": "round-robin", "passive": { "hold": "60s" } }))
        .await;
    proxy.sees(&well, Healthy).await;
    proxy.sees(&broken, Healthy).await;
    let request = [request, b" HTTP/1.1\r\nHost: test\r\n\r\n"].concat();

    eventually(LIMIT, "the broken one to be held back", async || {
        // Until then clients meet it, and fail.
        let _ = proxy.connect().await.try_request(&request).await;
        let entry = proxy.status_of(&broken).await?;
        match entry["state"] == "held" {
            true => Ok(()),
            false => Err(entry.to_string()),
        }
    })
    .await;
    // The other worker learns of it with its next heartbeat.
    eventually(LIMIT, "everybody to be served", async || {
        for _ in 0..10 {
            let answer = proxy.connect().await.try_request(&request).await;
            answer.map_err(|error| error.to_string())?;
        }
        Ok(())
    })
    .await;
}

/// Wants all of these to have answered, and nobody else.
fn assert_shared_by(answers: &BTreeMap<String, usize>, replicas: [&Standin; 2]) {
    let who: Vec<&str> = answers.keys().map(String::as_str).collect();
    assert_eq!(who, replicas.map(Standin::name), "{answers:?}");
}

//! What sessions suffer, and what they teach.

use dtr_lb_tests::{Healthy, LIMIT, Ping, Replica, Traffic, Unhealthy, eventually, on_each_proxy};
use serde_json::json;

on_each_proxy!(
    a_sessions_replica_turns_sick_and_it_goes_on_unless_configured_otherwise,
    |world| {
        let replica = world.replica(Replica::serves(Traffic::Echoes)).await;
        for (on_down, goes_on) in [("keep", true), ("close", false)] {
            replica.now_pings(Ping::healthy());
            let proxy = world.proxy_with(json!({ "on_down": on_down })).await;
            proxy.sees(&replica, Healthy).await;
            let mut held = Vec::new();
            for _ in 0..6 {
                let mut connection = proxy.connect().await;
                connection.echoes(b"before").await;
                held.push(connection);
            }

            replica.now_pings(Ping::fails("registry: disk full"));
            proxy.sees(&replica, Unhealthy).await;

            for mut connection in held {
                if goes_on {
                    connection.echoes(b"after").await;
                } else {
                    connection.is_cut().await;
                }
            }
            proxy.counts(&replica, "active", 0).await;
        }
    }
);

on_each_proxy!(enough_connect_failures_hold_a_replica_back, |world| {
    let well = world.replica(Replica::healthy()).await;
    let flaky = world.replica(Replica::healthy()).await;
    let passive = json!({ "fails": 3, "window": "60s", "hold": "60s" });
    let proxy = world
        .proxy_with(json!({ "policy": "round-robin", "passive": passive }))
        .await;
    proxy.sees(&well, Healthy).await;
    proxy.sees(&flaky, Healthy).await;

    flaky.refuses_clients().await;
    for _ in 0..20 {
        proxy.connect().await.answered_by(&well).await;
    }
    proxy.is_in_state(&flaky, "held").await;
    // Any worker may answer, and learns of the others' failures with its next
    // heartbeat. Each may have sent it some before that.
    eventually(LIMIT, "every worker to hold it back", async || {
        for _ in 0..20 {
            let entry = proxy.status_of(&flaky).await?;
            let failures = entry["connections"]["failures"].as_u64();
            if entry["state"] != "held" || !matches!(failures, Some(3..=6)) {
                return Err(entry.to_string());
            }
        }
        Ok(())
    })
    .await;
    // On the host it is always the same one: there are four heartbeats to a probe.
    well.is_probed(2).await;

    // It accepts again, but what holds it back lasts.
    flaky.returns();
    let before = flaky.connections();
    for _ in 0..20 {
        proxy.connect().await.answered_by(&well).await;
    }
    assert_eq!(flaky.connections(), before, "it was given a connection");

    // With nobody else left it is tried, and what got through ends the hold.
    proxy.order(&well, "drain").await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&flaky).await;
    }
    proxy.sees(&flaky, Healthy).await;
});

on_each_proxy!(too_few_connect_failures_do_not, |world| {
    let well = world.replica(Replica::healthy()).await;
    let flaky = world.replica(Replica::healthy()).await;
    let passive = json!({ "fails": 100, "window": "60s", "hold": "60s" });
    let proxy = world
        .proxy_with(json!({ "policy": "round-robin", "passive": passive }))
        .await;
    proxy.sees(&flaky, Healthy).await;

    flaky.refuses_clients().await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&well).await;
    }
    proxy.failed_to_reach(&flaky).await;

    flaky.returns();
    proxy.reaches(&flaky).await;
    proxy.is_in_state(&flaky, "healthy").await;
});

on_each_proxy!(a_hold_is_over_after_its_time, |world| {
    let well = world.replica(Replica::healthy()).await;
    let flaky = world.replica(Replica::healthy()).await;
    let proxy = world
        .proxy_with(json!({ "passive": { "hold": "700ms" } }))
        .await;
    proxy.sees(&flaky, Healthy).await;
    flaky.refuses_clients().await;
    for _ in 0..6 {
        proxy.connect().await.answered_by(&well).await;
    }
    proxy.logs("held back for").await;

    flaky.returns();

    proxy.reaches(&flaky).await;
    proxy.is_in_state(&flaky, "healthy").await;
});

//! When no replica is usable.

use dtr_lb_tests::{Healthy, Ping, Replica, Unhealthy, on_each_proxy};
use serde_json::json;

on_each_proxy!(
    with_all_replicas_down_clients_are_refused_at_once,
    |world| {
        let one = world
            .replica(Replica::pings(Ping::fails("rethinkdb: down")))
            .await;
        let two = world
            .replica(Replica::pings(Ping::fails("rethinkdb: down")))
            .await;
        let proxy = world.proxy().await;
        proxy.sees(&one, Unhealthy).await;
        proxy.sees(&two, Unhealthy).await;

        for _ in 0..10 {
            proxy.connect().await.is_refused().await;
        }

        let tried = one.connections() + two.connections();
        assert_eq!(tried, 0, "at once means that no replica is tried");
    }
);

on_each_proxy!(
    the_balancers_own_ping_says_503_and_why_until_a_replica_returns,
    |world| {
        let only = world.replica(Replica::healthy()).await;
        let proxy = world.proxy().await;
        proxy.sees(&only, Healthy).await;
        assert_eq!(proxy.ping().await.0, 200);

        only.now_pings(Ping::fails("rethinkdb: down"));
        proxy.sees(&only, Unhealthy).await;
        let (status, answer) = proxy.ping().await;
        assert_eq!(status, 503, "{answer}");
        assert_eq!(answer["Healthy"], false, "{answer}");
        let error = answer["Error"].as_str().unwrap();
        assert!(error.contains("rethinkdb: down"), "{answer}");

        only.now_pings(Ping::healthy());
        proxy.sees(&only, Healthy).await;
        let (status, answer) = proxy.ping().await;
        assert_eq!(
            (status, &answer["Healthy"]),
            (200, &true.into()),
            "{answer}"
        );
        proxy.connect().await.answered_by(&only).await;
    }
);

on_each_proxy!(a_backup_serves_only_while_no_other_can, |world| {
    let only = world.replica(Replica::healthy()).await;
    let backup = world.replica(Replica::healthy().with("backup", true)).await;
    let proxy = world.proxy().await;
    proxy.sees(&only, Healthy).await;
    proxy.sees(&backup, Healthy).await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&only).await;
    }

    only.now_pings(Ping::fails("registry: full"));
    proxy.sees(&only, Unhealthy).await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&backup).await;
    }

    only.now_pings(Ping::healthy());
    proxy.sees(&only, Healthy).await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&only).await;
    }
});

on_each_proxy!(
    with_all_replicas_down_they_are_tried_if_so_configured,
    |world| {
        let one = world
            .replica(Replica::pings(Ping::fails("garant: down")))
            .await;
        let two = world
            .replica(Replica::pings(Ping::fails("garant: down")))
            .await;
        let proxy = world
            .proxy_with(json!({ "when_all_down": "try-all" }))
            .await;
        proxy.sees(&one, Unhealthy).await;
        proxy.sees(&two, Unhealthy).await;

        proxy.answers(10).await;

        assert!(
            one.connections() > 0 && two.connections() > 0,
            "one of them was spared"
        );
        assert_eq!(proxy.ping().await.0, 503, "served, but not well");
    }
);

on_each_proxy!(a_blip_of_all_replicas_is_over_when_it_is_over, |world| {
    let replicas = [
        world.replica(Replica::healthy()).await,
        world.replica(Replica::healthy()).await,
        world.replica(Replica::healthy()).await,
    ];
    let proxy = world
        .proxy_with(json!({ "passive": { "hold": "60s" } }))
        .await;
    for replica in &replicas {
        proxy.sees(replica, Healthy).await;
        replica.refuses_clients().await;
    }
    for _ in 0..12 {
        proxy.connect().await.is_refused().await;
    }
    for replica in &replicas {
        proxy.is_in_state(replica, "held").await;
    }

    for replica in &replicas {
        replica.returns();
    }

    // All are held, and yet each serves when it is the last one there is.
    for last in &replicas {
        let others = || replicas.iter().filter(|one| one.name() != last.name());
        for other in others() {
            proxy.order(other, "drain").await;
        }
        for _ in 0..4 {
            proxy.connect().await.answered_by(last).await;
        }
        for other in others() {
            proxy.order(other, "ready").await;
        }
    }
});

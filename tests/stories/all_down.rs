//! When no replica is usable.

use dtr_lb_tests::{Healthy, Ping, Replica, Unhealthy, on_each_proxy};

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

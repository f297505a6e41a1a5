//! What `/_ping` says decides who gets new connections.

use dtr_lb_tests::{Healthy, Ping, Replica, Unhealthy, on_each_proxy};

on_each_proxy!(a_sick_replica_gets_no_new_connection_and_returns, |world| {
    let well = world.replica(Replica::healthy()).await;
    let sick = world
        .replica(Replica::pings(Ping::fails("rethinkdb: no primary")))
        .await;
    let proxy = world.proxy().await;
    proxy.sees(&well, Healthy).await;
    proxy.sees(&sick, Unhealthy).await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&well).await;
    }

    sick.now_pings(Ping::healthy());
    proxy.sees(&sick, Healthy).await;
    proxy.reaches(&sick).await;
});

on_each_proxy!(a_healthy_status_with_an_unhealthy_body_is_sick, |world| {
    let well = world.replica(Replica::healthy()).await;
    let body = r#"{"Error":"garant: expired key","Healthy":false}"#;
    let sick = world
        .replica(Replica::pings(Ping::Says(200, body.to_owned())))
        .await;
    let proxy = world.proxy().await;
    proxy.sees(&well, Healthy).await;
    proxy.sees(&sick, Unhealthy).await;
    proxy
        .gives_reason(&sick, "says-unhealthy", "garant: expired key")
        .await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&well).await;
    }
});

on_each_proxy!(
    a_replica_that_falls_sick_later_leaves_and_needs_two_good_answers,
    |world| {
        let well = world.replica(Replica::healthy()).await;
        let sick = world.replica(Replica::healthy()).await;
        let proxy = world.proxy().await;
        proxy.sees(&well, Healthy).await;
        proxy.sees(&sick, Healthy).await;

        sick.now_pings(Ping::fails("registry: disk full"));
        proxy.sees(&sick, Unhealthy).await;
        for _ in 0..10 {
            proxy.connect().await.answered_by(&well).await;
        }

        for _ in 0..4 {
            // One good answer between bad ones is not a recovery.
            sick.pings_once(Ping::healthy());
            sick.is_probed(2).await;
            for _ in 0..5 {
                proxy.connect().await.answered_by(&well).await;
            }
        }

        sick.now_pings(Ping::healthy());
        proxy.sees(&sick, Healthy).await;
    }
);

on_each_proxy!(
    the_error_of_a_sick_replica_is_in_status_and_once_in_the_log,
    |world| {
        let _well = world.replica(Replica::healthy()).await;
        let sick = world.replica(Replica::healthy()).await;
        let proxy = world.proxy().await;
        proxy.sees(&sick, Healthy).await;

        sick.now_pings(Ping::fails("notary: signer unreachable"));
        proxy.sees(&sick, Unhealthy).await;

        proxy
            .gives_reason(&sick, "status", "notary: signer unreachable")
            .await;
        proxy.logs("notary: signer unreachable").await;
        sick.is_probed(5).await;
        let lines = proxy.logged("notary: signer unreachable");
        assert_eq!(lines.len(), 1, "a change is logged once: {lines:#?}");
    }
);

on_each_proxy!(a_hung_ping_counts_as_failed_at_the_timeout, |world| {
    let well = world.replica(Replica::healthy()).await;
    let hung = world.replica(Replica::pings(Ping::Hangs)).await;
    let proxy = world.proxy().await;
    proxy.sees(&well, Healthy).await;
    proxy.sees(&hung, Unhealthy).await;
    proxy.gives_reason(&hung, "timeout", "").await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&well).await;
    }
});

on_each_proxy!(a_ping_closed_without_an_answer_counts_as_failed, |world| {
    let well = world.replica(Replica::healthy()).await;
    let mute = world.replica(Replica::pings(Ping::Closes)).await;
    let proxy = world.proxy().await;
    proxy.sees(&well, Healthy).await;
    proxy.sees(&mute, Unhealthy).await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&well).await;
    }
});

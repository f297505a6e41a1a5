//! A replica that can't be reached costs no client anything.

use dtr_lb_tests::{Healthy, Ping, Replica, Unhealthy, on_each_proxy};

on_each_proxy!(a_refusing_replica_costs_no_client_an_error, |world| {
    let well = world.replica(Replica::healthy()).await;
    let other = world.replica(Replica::healthy()).await;
    let down = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&down, Healthy).await;

    // Its /_ping still answers, so only the connect attempts can tell.
    down.refuses_clients().await;

    let answers = proxy.answers(60).await;
    assert_eq!(answers.values().sum::<usize>(), 60, "{answers:?}");
    assert!(answers.contains_key(well.name()), "{answers:?}");
    assert!(answers.contains_key(other.name()), "{answers:?}");
});

on_each_proxy!(a_vanished_replica_costs_no_client_an_error, |world| {
    let _well = world.replica(Replica::healthy()).await;
    let _other = world.replica(Replica::healthy()).await;
    let gone = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&gone, Healthy).await;

    gone.swallows_clients().await;

    let answers = proxy.answers(30).await;
    assert_eq!(answers.values().sum::<usize>(), 30, "{answers:?}");
    assert!(!answers.contains_key(gone.name()), "{answers:?}");
});

on_each_proxy!(a_crowd_does_not_notice_a_refusing_replica, |world| {
    let _well = world.replica(Replica::healthy()).await;
    let down = world.replica(Replica::healthy()).await;
    let _other = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&down, Healthy).await;

    down.refuses_clients().await;

    let answers = proxy.crowd(8, 40).await;
    assert_eq!(answers.values().sum::<usize>(), 320, "{answers:?}");
    assert_eq!(answers.len(), 2, "{answers:?}");
});

on_each_proxy!(a_crowd_does_not_notice_a_vanished_replica, |world| {
    let _well = world.replica(Replica::healthy()).await;
    let gone = world.replica(Replica::healthy()).await;
    let _other = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&gone, Healthy).await;

    gone.swallows_clients().await;

    let answers = proxy.crowd(8, 20).await;
    assert_eq!(answers.values().sum::<usize>(), 160, "{answers:?}");
    assert_eq!(answers.len(), 2, "{answers:?}");
});

on_each_proxy!(a_replica_that_stops_leaves_and_comes_back, |world| {
    let well = world.replica(Replica::healthy()).await;
    let stopped = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
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
        assert_eq!(sick.connections(), before, "the sick one was tried");
    }
);

//! Connections are counted where they really went.

use dtr_lb_tests::{Healthy, Replica, Traffic, on_each_proxy};

on_each_proxy!(open_connections_are_counted_until_they_end, |world| {
    let one = world.replica(Replica::healthy()).await;
    let two = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;

    let mut held = Vec::new();
    for _ in 0..6 {
        let mut connection = proxy.connect().await;
        connection.who().await;
        held.push(connection);
    }
    proxy.counts(&one, "active", one.connections()).await;
    proxy.counts(&two, "active", two.connections()).await;
    assert_eq!(one.connections() + two.connections(), 6);

    drop(held);
    for replica in [&one, &two] {
        proxy.counts(replica, "active", 0).await;
        proxy.counts(replica, "total", replica.connections()).await;
    }
});

on_each_proxy!(a_silent_connection_is_counted_too, |world| {
    let replica = world.replica(Replica::serves(Traffic::Echoes)).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;

    let silent = proxy.connect().await;
    proxy.counts(&replica, "active", 1).await;
    drop(silent);
    proxy.counts(&replica, "active", 0).await;
    proxy.counts(&replica, "total", 1).await;
});

on_each_proxy!(
    a_connection_that_failed_over_counts_where_it_arrived,
    |world| {
        let well = world.replica(Replica::healthy()).await;
        let down = world.replica(Replica::healthy()).await;
        let proxy = world.proxy().await;
        proxy.sees(&well, Healthy).await;
        proxy.sees(&down, Healthy).await;
        down.refuses_clients().await;

        let mut held = Vec::new();
        for _ in 0..4 {
            let mut connection = proxy.connect().await;
            connection.answered_by(&well).await;
            held.push(connection);
        }

        proxy.counts(&well, "active", 4).await;
        proxy.counts(&down, "active", 0).await;
        proxy.counts(&down, "total", 0).await;
        proxy.logs("held back for").await;
    }
);

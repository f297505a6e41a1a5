//! What the operator orders while the proxy runs.

use dtr_lb_tests::{Healthy, Replica, Traffic, on_each_proxy};

on_each_proxy!(
    a_drained_replica_keeps_its_connections_and_gets_no_new_one,
    |world| {
        let drained = world.replica(Replica::serves(Traffic::Echoes)).await;
        let proxy = world.proxy().await;
        proxy.sees(&drained, Healthy).await;
        let mut held = proxy.connect().await;
        held.echoes(b"before").await;

        proxy.order(&drained, "drain").await;

        for _ in 0..10 {
            proxy.connect().await.is_refused().await;
        }
        held.echoes(b"after").await;

        proxy.order(&drained, "ready").await;
        proxy.connect().await.echoes(b"again").await;
    }
);

on_each_proxy!(an_order_holds_for_every_worker_at_once, |world| {
    let stays = world.replica(Replica::healthy()).await;
    let rests = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&stays, Healthy).await;
    proxy.sees(&rests, Healthy).await;

    for _ in 0..5 {
        proxy.order(&rests, "maintenance").await;
        for _ in 0..10 {
            proxy.connect().await.answered_by(&stays).await;
        }
        proxy.order(&rests, "ready").await;
        proxy.reaches(&rests).await;
    }
});

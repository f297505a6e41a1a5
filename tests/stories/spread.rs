//! How connections are shared out.

use dtr_lb_tests::{Healthy, Replica, on_each_proxy};
use serde_json::json;

on_each_proxy!(connections_in_turn_reach_every_replica, |world| {
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(world.replica(Replica::healthy()).await);
    }
    let proxy = world.proxy_with(json!({ "policy": "round-robin" })).await;
    for replica in &replicas {
        proxy.sees(replica, Healthy).await;
    }

    let answers = proxy.answers(300).await;

    // Each of two workers keeps its own turn; by pure chance shares are as even as
    // this in one run of fifty.
    assert_eq!(answers.len(), 3, "{answers:?}");
    for share in answers.values() {
        assert!((98..=102).contains(share), "{answers:?} of 300");
    }
});

on_each_proxy!(
    a_replica_of_double_weight_gets_double_the_connections,
    |world| {
        let one = world.replica(Replica::healthy()).await;
        let two = world.replica(Replica::healthy().with("weight", 2)).await;
        let proxy = world.proxy_with(json!({ "policy": "round-robin" })).await;
        proxy.sees(&one, Healthy).await;
        proxy.sees(&two, Healthy).await;

        proxy.answers(60).await;

        let shares = (one.connections(), two.connections());
        assert!((17..=23).contains(&shares.0), "{shares:?} of 60");
        assert_eq!(shares.0 + shares.1, 60, "{shares:?}");
    }
);

on_each_proxy!(held_connections_follow_the_weights_too, |world| {
    let one = world.replica(Replica::healthy()).await;
    let three = world.replica(Replica::healthy().with("weight", 3)).await;
    let proxy = world.proxy().await;
    proxy.sees(&one, Healthy).await;
    proxy.sees(&three, Healthy).await;

    let mut held = Vec::new();
    for _ in 0..40 {
        let mut connection = proxy.connect().await;
        connection.who().await;
        held.push(connection);
    }

    let shares = (one.connections(), three.connections());
    assert!((7..=13).contains(&shares.0), "{shares:?} of 40");
});

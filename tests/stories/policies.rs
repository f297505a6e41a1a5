//! Who gets a connection, by each policy.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dtr_lb_tests::{
    Healthy, LIMIT, Ping, Proxy, Replica, Standin, Unhealthy, World, eventually, on_each_proxy,
};
use serde_json::json;

on_each_proxy!(
    by_source_hash_only_the_clients_of_who_leaves_move,
    |world| {
        let replicas = three(world).await;
        let proxy = world.proxy_with(json!({ "policy": "source-hash" })).await;
        all_are_healthy(&proxy, &replicas).await;
        let [_, leaves, _] = &replicas;

        let before = owners(&proxy, 60).await;
        assert_eq!(
            before,
            owners(&proxy, 60).await,
            "a client stays where it is"
        );
        for replica in &replicas {
            let clients = before.values().filter(|owner| *owner == replica.name());
            let clients = clients.count();
            assert!(
                clients >= 5,
                "{clients} of 60 clients of {}",
                replica.name()
            );
        }

        leaves.now_pings(Ping::fails("rethinkdb: gone"));
        proxy.sees(leaves, Unhealthy).await;
        let meanwhile = owners(&proxy, 60).await;
        for (client, owner) in &before {
            if owner == leaves.name() {
                assert_ne!(meanwhile[client], *owner, "{client} went to a sick replica");
            } else {
                assert_eq!(meanwhile[client], *owner, "{client} had to move");
            }
        }

        leaves.now_pings(Ping::healthy());
        proxy.sees(leaves, Healthy).await;
        assert_eq!(owners(&proxy, 60).await, before, "who moved comes back");

        proxy.order(leaves, "drain").await;
        assert_eq!(
            owners(&proxy, 60).await,
            meanwhile,
            "a drain moves the same"
        );
    }
);

on_each_proxy!(by_source_hash_shares_follow_the_weights, |world| {
    let one = world.replica(Replica::healthy()).await;
    let three = world.replica(Replica::healthy().with("weight", 3)).await;
    let proxy = world.proxy_with(json!({ "policy": "source-hash" })).await;
    proxy.sees(&one, Healthy).await;
    proxy.sees(&three, Healthy).await;

    owners(&proxy, 160).await;

    // 40 and 120, give or take what a hash may.
    let shares = (one.connections(), three.connections());
    assert!((20..=60).contains(&shares.0), "{shares:?} of 160");
});

on_each_proxy!(by_least_connections_the_busiest_gets_none, |world| {
    the_busiest_gets_none(world, "least-connections").await;
});

on_each_proxy!(by_random_two_the_busiest_gets_none, |world| {
    the_busiest_gets_none(world, "random-two").await;
});

/// By pure chance one of three gets none of 20 once in 3000 runs.
async fn the_busiest_gets_none(world: &World, policy: &str) {
    let replicas = three(world).await;
    let proxy = world.proxy_with(json!({ "policy": policy })).await;
    all_are_healthy(&proxy, &replicas).await;
    let [busiest, one, other] = &replicas;
    proxy.order(one, "drain").await;
    proxy.order(other, "drain").await;
    let mut held = Vec::new();
    for _ in 0..25 {
        let mut connection = proxy.connect().await;
        connection.answered_by(busiest).await;
        held.push(connection);
    }
    proxy.order(one, "ready").await;
    proxy.order(other, "ready").await;
    proxy.sees(one, Healthy).await;
    proxy.sees(other, Healthy).await;
    // By the next probe every worker knows the others' connections.
    busiest.is_probed(2).await;

    for _ in 0..20 {
        let mut connection = proxy.connect().await;
        connection.who().await;
        held.push(connection);
    }

    let shares = replicas.each_ref().map(Standin::connections);
    assert_eq!(shares[0], 25, "{shares:?}: the busiest was given another");
    assert!(shares[1].min(shares[2]) > 0, "{shares:?}");
}

on_each_proxy!(random_two_follows_the_weights, |world| {
    let one = world.replica(Replica::healthy()).await;
    let four = world.replica(Replica::healthy().with("weight", 4)).await;
    let proxy = world.proxy_with(json!({ "policy": "random-two" })).await;
    proxy.sees(&one, Healthy).await;
    proxy.sees(&four, Healthy).await;

    let mut held = Vec::new();
    for _ in 0..50 {
        let mut connection = proxy.connect().await;
        connection.who().await;
        held.push(connection);
    }

    let shares = (one.connections(), four.connections());
    assert!((5..=18).contains(&shares.0), "{shares:?} of 50");
});

on_each_proxy!(
    policies_that_draw_pass_over_the_sick_the_drained_and_the_backup,
    |world| {
        let well = world.replica(Replica::healthy()).await;
        let sick = world
            .replica(Replica::pings(Ping::fails("garant: down")))
            .await;
        let away = world.replica(Replica::healthy()).await;
        let backup = world.replica(Replica::healthy().with("backup", true)).await;
        // The other two choose by the same order; their stories are elsewhere.
        for policy in ["random-two", "source-hash"] {
            let proxy = world.proxy_with(json!({ "policy": policy })).await;
            proxy.sees(&sick, Unhealthy).await;
            proxy.sees(&well, Healthy).await;
            proxy.sees(&backup, Healthy).await;
            proxy.order(&away, "drain").await;

            let owners = owners(&proxy, 12).await;
            assert!(
                owners.values().all(|owner| owner == well.name()),
                "{policy}: {owners:?}"
            );

            proxy.order(&well, "maintenance").await;
            let owners = self::owners(&proxy, 12).await;
            assert!(
                owners.values().all(|owner| owner == backup.name()),
                "{policy}, with the backup alone: {owners:?}"
            );
        }
    }
);

on_each_proxy!(a_recovered_replica_starts_slowly, |world| {
    let well = world.replica(Replica::healthy()).await;
    let back = world.replica(Replica::healthy()).await;
    let config = json!({ "policy": "round-robin", "slow_start": "10s" });
    let proxy = world.proxy_with(config).await;
    proxy.sees(&well, Healthy).await;
    back.now_pings(Ping::fails("registry: starting"));
    proxy.sees(&back, Unhealthy).await;
    proxy.answers(4).await;

    back.now_pings(Ping::healthy());
    proxy.sees(&back, Healthy).await;

    let answers = proxy.answers(30).await;
    let share = answers.get(back.name()).copied().unwrap_or_default();
    assert!(share <= 9, "{share} of 30 as soon as it is back");
    eventually(LIMIT, "an even share", async || {
        let answers = proxy.answers(20).await;
        match answers.get(back.name()) {
            Some(9..) => Ok(()),
            _ => Err(format!("{answers:?}")),
        }
    })
    .await;
});

async fn three(world: &World) -> [Standin; 3] {
    [
        world.replica(Replica::healthy()).await,
        world.replica(Replica::healthy()).await,
        world.replica(Replica::healthy()).await,
    ]
}

async fn all_are_healthy(proxy: &Proxy, replicas: &[Standin]) {
    for replica in replicas {
        proxy.sees(replica, Healthy).await;
    }
}

/// Which replica answers each client, by the client's last number.
async fn owners(proxy: &Proxy, clients: u8) -> BTreeMap<u8, String> {
    let mut owners = BTreeMap::new();
    for client in 1..=clients {
        let mut connection = proxy.connect_from(Ipv4Addr::new(127, 0, 0, client)).await;
        owners.insert(client, connection.who().await);
    }
    owners
}

//! What a change of the configuration means for who is connected, and for who connects.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use dtr_lb_tests::{
    Connection, FILTER, Healthy, LIMIT, Ping, Replica, ReservedPort, Standin, Unhealthy,
    eventually, on_each_proxy, on_envoy,
};
use serde_json::{Value, json};

/// The entry of a replica, under another name or with other fields.
fn with(replica: &Standin, fields: Value) -> Value {
    let mut entry = replica.config();
    for (field, value) in fields.as_object().into_iter().flatten() {
        entry[field] = value.clone();
    }
    entry
}

/// The names of the replicas of a change.
fn names(change: &Value) -> Vec<&str> {
    let replicas = change["replicas"].as_array().unwrap().iter();
    replicas
        .map(|replica| replica["name"].as_str().unwrap())
        .collect()
}

on_each_proxy!(nobody_notices_fifty_changes, |world| {
    let stays = world.replica(Replica::healthy()).await;
    let moves = world.replica(Replica::healthy()).await;
    let rests = world.replica(Replica::healthy()).await;
    let sick = world
        .replica(Replica::pings(Ping::fails("rethinkdb: down")))
        .await;
    let mut proxy = world.following_proxy(json!({})).await;
    let other = world.replica(Replica::healthy()).await;
    proxy.sees(&stays, Healthy).await;
    proxy.sees(&moves, Healthy).await;
    proxy.sees(&sick, Unhealthy).await;
    proxy.order(&rests, "drain").await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut connection = proxy.connect().await;
        connection.who().await;
        held.push(connection);
    }

    let load = proxy.load(4);
    let [
        stays_entry,
        moves_entry,
        other_entry,
        rests_entry,
        sick_entry,
    ] = [&stays, &moves, &other, &rests, &sick].map(|replica| replica.config());
    let always = [&rests_entry, &sick_entry];
    let replicas = |some: &[&Value]| -> Value {
        let all = some.iter().chain(&always);
        json!({ "replicas": all.copied().collect::<Vec<_>>() })
    };
    let heavier = with(&stays, json!({ "weight": 3 }));
    let renamed = with(&moves, json!({ "name": "renamed" }));
    let elsewhere = with(&moves, json!({ "ports": other_entry["ports"] }));
    let mut with_policy = replicas(&[&stays_entry, &moves_entry]);
    with_policy["policy"] = "round-robin".into();
    let mut with_health = replicas(&[&stays_entry, &moves_entry]);
    with_health["health"] = json!({ "interval": "300ms", "fall": 4 });
    let changes = [
        (
            "one is added",
            replicas(&[&stays_entry, &moves_entry, &other_entry]),
        ),
        ("one is removed", replicas(&[&stays_entry, &other_entry])),
        ("one is renamed", replicas(&[&stays_entry, &renamed])),
        ("all is as it was", replicas(&[&stays_entry, &moves_entry])),
        (
            "one has another weight",
            replicas(&[&heavier, &moves_entry]),
        ),
        (
            "one has another address",
            replicas(&[&stays_entry, &elsewhere]),
        ),
        ("the policy is another", with_policy),
        ("probes are others", with_health),
        ("only one is left", replicas(&[&stays_entry])),
        (
            "two come at once",
            replicas(&[&heavier, &moves_entry, &other_entry]),
        ),
    ];
    for (why, change) in changes.iter().cycle().take(50) {
        world.reload(&mut proxy, change.clone()).await;
        proxy.lists(&names(change)).await;
        load.is_answered(20).await;
        proxy.is_in_state(&rests, "drain").await;
        let seen = proxy.status_of(&sick).await.unwrap();
        assert_eq!(
            seen["state"], "unhealthy",
            "{why}: the verdict is lost: {seen}"
        );
    }

    let failed = load.ends().await;
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!((rests.connections(), sick.connections()), (0, 0));
    for connection in &mut held {
        connection.who().await;
    }
    let mut open = 0;
    for replica in [&stays, &moves] {
        let active = held_at(&mut held, replica).await;
        proxy.counts(replica, "active", active).await;
        open += active;
    }
    assert_eq!(open, held.len());
    proxy.counts(&stays, "total", stays.connections()).await;
    drop(held);
    proxy.counts(&stays, "active", 0).await;
    proxy.counts(&moves, "active", 0).await;
});

/// How many of the connections a replica answers.
async fn held_at(held: &mut [Connection], replica: &Standin) -> usize {
    let mut number = 0;
    for connection in held {
        number += usize::from(connection.who().await == replica.name());
    }
    number
}

on_each_proxy!(a_listener_comes_and_goes_and_others_go_on, |world| {
    let replica = world.replica(Replica::healthy().serves_port(5000)).await;
    let first = json!({ "bind": "127.0.0.1:0", "port": 443 });
    let port = ReservedPort::new();
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
    let second = json!({ "bind": bind.to_string(), "port": 5000 });
    // A replica's port may only be given where a listener has it.
    let entry = |ports: &[&str]| {
        let mut entry = replica.config();
        let all = entry["ports"].as_object_mut().unwrap();
        all.retain(|port, _| ports.contains(&port.as_str()));
        entry
    };
    let one = json!({ "listeners": [first], "replicas": [entry(&["443", "8080"])] });
    let both = json!({
        "listeners": [first, second],
        "replicas": [entry(&["443", "5000", "8080"])],
    });
    let mut proxy = world.following_proxy(one.clone()).await;
    proxy.sees(&replica, Healthy).await;
    let mut held = proxy.connect().await;
    held.answered_by(&replica).await;

    world.reload(&mut proxy, both).await;
    proxy.connect_to(1).await.answered_by(&replica).await;
    proxy.connect_to(0).await.answered_by(&replica).await;
    world.reload(&mut proxy, one).await;
    eventually(
        LIMIT,
        "a listener that is gone to refuse",
        async || match proxy.try_connect_at(bind).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error.to_string()),
            Ok(_) => Err("it accepts".to_owned()),
        },
    )
    .await;

    proxy.connect().await.answered_by(&replica).await;
    held.answered_by(&replica).await;
});

on_envoy!(
    what_only_an_old_configuration_names_goes_in_the_end,
    |world| {
        let stays = world.replica(Replica::healthy()).await;
        let goes = world.replica(Replica::healthy()).await;
        // So that no connection goes on for long to name what is old.
        let config = json!({ "connect_timeout": "50ms" });
        let mut proxy = world.following_proxy(config.clone()).await;
        proxy.sees(&goes, Healthy).await;
        let mut held = Vec::new();
        while held.iter().all(|(who, _)| who != goes.name()) {
            let mut connection = proxy.connect().await;
            held.push((connection.who().await, connection));
        }
        assert!(proxy.has_cluster("443/r2").await);

        let alone = json!({ "connect_timeout": "50ms", "replicas": [stays.config()] });
        world.reload(&mut proxy, alone.clone()).await;
        proxy.connect().await.answered_by(&stays).await;
        assert!(
            proxy.has_cluster("443/r2").await,
            "a connection may name it yet"
        );

        world.remove_leftovers(&mut proxy, alone).await;
        for gone in ["443/r2", "443/r1>r2", "443/r2>r1", "ping/r2"] {
            assert!(!proxy.has_cluster(gone).await, "{gone} is still there");
        }
        for (who, connection) in &mut held {
            assert_eq!(connection.who().await, *who, "it is not cut");
        }
    }
);

on_envoy!(an_order_holds_in_the_envoy_it_was_given_to, |world| {
    let [rests, serves] = [
        world.replica(Replica::healthy()).await,
        world.replica(Replica::healthy()).await,
    ];
    let mut proxy = world.following_proxy(json!({})).await;
    let other = world.follows_the_same_folder(json!({})).await;
    for proxy in [&proxy, &other] {
        proxy.sees(&rests, Healthy).await;
        proxy.sees(&serves, Healthy).await;
    }
    proxy.order(&rests, "drain").await;
    proxy.is_in_state(&rests, "drain").await;
    proxy.connect().await.answered_by(&serves).await;
    other.reaches(&rests).await;

    let new = world.replica(Replica::healthy()).await;
    world.reload(&mut proxy, json!({})).await;
    for proxy in [&proxy, &other] {
        proxy.sees(&new, Healthy).await;
    }
    proxy.is_in_state(&rests, "drain").await;
});

on_each_proxy!(another_filter_takes_over, |world| {
    let serves = world.replica(Replica::healthy()).await;
    let rests = world.replica(Replica::healthy()).await;
    let sick = world
        .replica(Replica::pings(Ping::fails("rethinkdb: down")))
        .await;
    // The host compiles the filter on the thread of the replicas, which are silent then.
    let config = json!({ "health": { "interval": "5s", "timeout": "5s" } });
    let mut proxy = world.following_proxy(config.clone()).await;
    proxy.sees(&serves, Healthy).await;
    proxy.sees(&sick, Unhealthy).await;
    proxy.order(&rests, "drain").await;
    let mut held = proxy.connect().await;
    held.answered_by(&serves).await;
    let load = proxy.load(4);

    // A custom section, which changes nothing but the bytes.
    for name in [b"new1", b"new2", b"new3"] {
        let other = [FILTER, &[0, 5, 4], name].concat();
        world.reload_with(&mut proxy, &other, config.clone()).await;
        load.is_answered(20).await;
        proxy.is_in_state(&rests, "drain").await;
    }

    let failed = load.ends().await;
    assert!(failed.is_empty(), "{failed:#?}");
    proxy.sees(&sick, Unhealthy).await;
    assert_eq!((rests.connections(), sick.connections()), (0, 0));
    held.answered_by(&serves).await;
    proxy.counts(&serves, "active", 1).await;
    proxy.counts(&serves, "total", serves.connections()).await;
});

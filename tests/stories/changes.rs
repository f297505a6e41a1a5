//! What a change of the configuration means for who is connected, and for who connects.

use dtr_lb_tests::{Connection, Healthy, Ping, Replica, Standin, Unhealthy, on_each_proxy};
use serde_json::{Value, json};

/// The entry of a replica, under another name or with other fields.
fn with(replica: &Standin, fields: Value) -> Value {
    let mut entry = replica.config();
    for (field, value) in fields.as_object().into_iter().flatten() {
        entry[field] = value.clone();
    }
    entry
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

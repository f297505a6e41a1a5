//! Drain and maintenance, and that they last.

use dtr_lb_tests::{
    Arg, FILTER, Healthy, LIMIT, Ping, Replica, Traffic, Unhealthy, eventually, on_each_proxy,
    trap_when,
};
use serde_json::json;

on_each_proxy!(a_long_transfer_survives_the_drain_of_its_replica, |world| {
    const BYTES: usize = 32 << 20;
    let drained = world.replica(Replica::serves(Traffic::Echoes)).await;
    let other = world.replica(Replica::healthy().with("backup", true)).await;
    let proxy = world.proxy().await;
    proxy.sees(&drained, Healthy).await;
    proxy.sees(&other, Healthy).await;
    let mut transfer = proxy.connect().await;
    transfer.echoes(&[7; 1 << 20]).await;

    proxy.order(&drained, "drain").await;

    // While it goes on, nobody new comes to its replica.
    for _ in 0..20 {
        proxy.connect().await.answered_by(&other).await;
    }
    proxy.counts(&drained, "active", 1).await;
    let (received, ()) = tokio::join!(transfer.exchange_noise(BYTES, 5, 5), async {
        for _ in 0..20 {
            proxy.connect().await.answered_by(&other).await;
        }
    });
    assert_eq!(received, (BYTES, None), "cut or changed");
    assert_eq!(drained.connections(), 1);
    proxy.counts(&drained, "active", 0).await;
});

on_each_proxy!(
    a_replica_in_drain_is_probed_and_one_in_maintenance_is_not,
    |world| {
        let stays = world.replica(Replica::healthy()).await;
        let rests = world.replica(Replica::healthy()).await;
        let proxy = world.proxy().await;
        proxy.sees(&stays, Healthy).await;
        proxy.sees(&rests, Healthy).await;

        proxy.order(&rests, "drain").await;
        rests.is_probed(2).await;
        proxy.is_in_state(&rests, "drain").await;

        proxy.order(&rests, "maintenance").await;
        proxy.is_in_state(&rests, "maintenance").await;
        // One probe may have been under way.
        stays.is_probed(2).await;
        let before = rests.probes().len();
        stays.is_probed(5).await;
        assert_eq!(rests.probes().len(), before, "probed in maintenance");

        // What happens to it meanwhile is found out before it serves again.
        rests.now_pings(Ping::fails("registry: being upgraded"));
        proxy.order(&rests, "ready").await;
        rests.is_probed(3).await;
        proxy.gives_reason(&rests, "status", "being upgraded").await;
        rests.now_pings(Ping::healthy());
        proxy.sees(&rests, Healthy).await;
        proxy.reaches(&rests).await;
    }
);

on_each_proxy!(the_first_answer_after_maintenance_decides, |world| {
    let stays = world.replica(Replica::healthy()).await;
    let rests = world.replica(Replica::healthy()).await;
    // Without the order this many bad answers would take longer than the story may.
    let patient = json!({ "health": { "fall": 1000 } });
    let proxy = world.proxy_with(patient).await;
    proxy.sees(&stays, Healthy).await;
    proxy.sees(&rests, Healthy).await;

    proxy.order(&rests, "maintenance").await;
    stays.is_probed(2).await;
    rests.now_pings(Ping::fails("registry: being upgraded"));
    proxy.order(&rests, "ready").await;
    proxy.sees(&rests, Unhealthy).await;

    // And at the next answer all is as ever.
    rests.now_pings(Ping::healthy());
    proxy.sees(&rests, Healthy).await;
    rests.now_pings(Ping::fails("registry: being upgraded again"));
    rests.is_probed(5).await;
    proxy.sees(&rests, Healthy).await;
});

on_each_proxy!(orders_outlive_the_vm_they_were_given_to, |world| {
    let stays = world.replica(Replica::healthy()).await;
    let rests = world.replica(Replica::healthy()).await;
    let proxy = world.proxy_of(&deadly_filter(), json!({})).await;
    proxy.sees(&stays, Healthy).await;
    proxy.sees(&rests, Healthy).await;
    proxy.order(&rests, "drain").await;

    for death in 1..=3 {
        stays.pings_once(Ping::healthy_in_bytes(DEADLY));
        proxy.logs_times("unreachable", death).await;
        // Envoy builds a VM again when a connection needs it.
        let before = stays.probes().len();
        eventually(LIMIT, "probes by another VM", async || {
            let _ = proxy.connect().await.try_who().await;
            match stays.probes().len() - before {
                0 => Err("none".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
    }

    proxy.is_in_state(&rests, "drain").await;
    // Where the VM is missing, connections follow the pool; it is back in a moment.
    eventually(
        LIMIT,
        "twenty connections past the drained one",
        async || {
            let answers = proxy.try_answers(20).await?;
            if answers.contains_key(rests.name()) {
                Err(format!("{answers:?}"))
            } else {
                Ok(())
            }
        },
    )
    .await;
    proxy.order(&rests, "ready").await;
    proxy.reaches(&rests).await;
});

on_each_proxy!(counts_return_to_the_truth_whatever_happened, |world| {
    let calm = world.replica(Replica::serves(Traffic::Echoes)).await;
    let rough = world
        .replica(Replica::serves(Traffic::AnswersAndResets))
        .await;
    let proxy = world
        .proxy_of(&deadly_filter(), json!({ "policy": "round-robin" }))
        .await;
    proxy.sees(&calm, Healthy).await;
    proxy.sees(&rough, Healthy).await;

    // Some are reset by their client, some by their replica, some stay open.
    let mut held = Vec::new();
    for number in 0..24 {
        let mut connection = proxy.connect().await;
        connection.send(b"GET / HTTP/1.1\r\n\r\n").await;
        match number % 3 {
            0 => connection.resets(),
            1 => {
                connection.send(b"x").await;
                held.push(connection);
            }
            _ => held.push(connection),
        }
    }
    proxy.order(&rough, "drain").await;
    calm.pings_once(Ping::healthy_in_bytes(DEADLY));
    proxy.logs("unreachable").await;
    for _ in 0..6 {
        held.push(proxy.connect().await);
    }
    drop(held);

    for replica in [&calm, &rough] {
        proxy.counts(replica, "active", 0).await;
        let gauge = format!(r#"dtr_lb_replica_active{{replica="{}"}}"#, replica.name());
        proxy.measures(&gauge, 0.0).await;
    }
    // And that is no passing state.
    calm.is_probed(4).await;
    for replica in [&calm, &rough] {
        proxy.counts(replica, "active", 0).await;
    }
    // What is counted from now on is right.
    proxy.order(&rough, "maintenance").await;
    let held = eventually(LIMIT, "four counted connections", async || {
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut connection = proxy.connect().await;
            connection.echoes(b"counted").await;
            held.push(connection);
        }
        // By the next probe every VM has shared its counts.
        calm.is_probed(2).await;
        let status = proxy.status_of(&calm).await?;
        if status["connections"]["active"] == 4 {
            return Ok(held);
        }
        Err(format!("a VM that was missing: {status}"))
    })
    .await;
    drop(held);
    proxy.counts(&calm, "active", 0).await;
});

on_each_proxy!(
    orders_verdicts_and_counts_outlive_a_configuration,
    |world| {
        let stays = world.replica(Replica::serves(Traffic::Echoes)).await;
        let rests = world.replica(Replica::healthy()).await;
        let sick = world
            .replica(Replica::pings(Ping::fails("garant: down")))
            .await;
        let mut proxy = world.following_proxy(json!({})).await;
        proxy.sees(&stays, Healthy).await;
        proxy.sees(&sick, Unhealthy).await;
        proxy.order(&rests, "drain").await;
        let mut held = proxy.connect().await;
        held.echoes(b"before").await;
        proxy.counts(&stays, "active", 1).await;

        let new = world.replica(Replica::serves(Traffic::Echoes)).await;
        let config = json!({ "policy": "round-robin", "health": { "interval": "300ms" } });
        world.reload(&mut proxy, config).await;

        proxy.is_in_state(&rests, "drain").await;
        proxy.sees(&sick, Unhealthy).await;
        proxy.sees(&new, Healthy).await;
        held.echoes(b"after").await;
        let mut more = Vec::new();
        for _ in 0..10 {
            let mut connection = proxy.connect().await;
            connection.echoes(b"new").await;
            more.push(connection);
        }
        assert_eq!((rests.connections(), sick.connections()), (0, 0));
        assert!(new.connections() > 0, "the new one has none of 10");
        proxy.counts(&stays, "active", stays.connections()).await;

        drop((held, more));
        proxy.counts(&stays, "active", 0).await;
        proxy.counts(&new, "active", 0).await;
        proxy
            .measures(r#"dtr_lb_replica_active{replica="r1"}"#, 0.0)
            .await;
        proxy.order(&rests, "ready").await;
        proxy.order(&stays, "maintenance").await;
        proxy.order(&new, "maintenance").await;
        proxy.connect().await.answered_by(&rests).await;
    }
);

on_each_proxy!(an_order_is_shown_with_its_own_time, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;
    let since = async |state: &str| {
        proxy.is_in_state(&replica, state).await;
        let entry = proxy.status_of(&replica).await.unwrap();
        entry["since_unix_ms"].as_u64().unwrap()
    };
    let healthy = since("healthy").await;
    replica.is_probed(2).await;

    proxy.order(&replica, "drain").await;
    let drained = since("drain").await;
    assert!(drained > healthy, "{drained}, and healthy since {healthy}");
    replica.is_probed(2).await;
    proxy.order(&replica, "drain").await;
    assert_eq!(since("drain").await, drained, "the same order once more");
    proxy.order(&replica, "ready").await;
    assert_eq!(since("healthy").await, healthy);
});

/// A probe's answer of this size kills the VM that asked.
const DEADLY: usize = 4242;

fn deadly_filter() -> Vec<u8> {
    trap_when(FILTER, "proxy_on_http_call_response", Arg(3), DEADLY as i32)
}

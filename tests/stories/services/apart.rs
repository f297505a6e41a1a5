//! Each registry has its own replicas, health and status.

use dtr_lb_tests::{
    Arg, ClientHello, FILTER, Healthy, LIMIT, Ping, Unhealthy, eventually, on_each_proxy, on_host,
    trap_when,
};
use serde_json::{Value, json};

use super::{service_of, two_services};

on_each_proxy!(one_registry_that_is_down_leaves_the_others_alone, |world| {
    let (replicas, services) = two_services(world).await;
    let [one, two, other] = &replicas;
    let proxy = world.proxy_with(services).await;
    for replica in &replicas {
        proxy.sees(replica, Healthy).await;
    }
    proxy.measures(r#"dtr_lb_usable{service="dtr"}"#, 2.0).await;
    proxy
        .measures(r#"dtr_lb_usable{service="quay"}"#, 1.0)
        .await;

    other.now_pings(Ping::fails("rethinkdb: down"));
    proxy.sees(other, Unhealthy).await;
    proxy
        .measures(r#"dtr_lb_usable{service="quay"}"#, 0.0)
        .await;
    let ask = |name: &str| format!("GET / HTTP/1.1\r\nHost: {name}.example.com\r\n\r\n");
    let mut refused = proxy.connect().await;
    refused.send(ask("quay").as_bytes()).await;
    refused.is_refused().await;
    let mut refused = proxy.connect().await;
    refused
        .send(&ClientHello::for_name("quay.example.com").bytes())
        .await;
    refused.is_refused().await;
    assert_eq!(
        service_of(&proxy, "the other", &[ask("dtr").as_bytes()]).await,
        "dtr"
    );
    let (status, ping) = proxy.ping().await;
    assert_eq!(
        (status, &ping["Healthy"]),
        (200, &json!(true)),
        "one can be reached"
    );

    proxy.order(one, "drain").await;
    proxy.is_in_state(one, "drain").await;
    for _ in 0..4 {
        let mut connection = proxy.connect().await;
        connection.send(ask("dtr").as_bytes()).await;
        assert_eq!(connection.line().await, two.name());
    }
    proxy.order(two, "maintenance").await;
    let (status, ping) = proxy.ping().await;
    assert_eq!(status, 503, "none can be reached: {ping}");
    let error = ping["Error"].as_str().unwrap();
    assert!(
        error.contains("dtr: ") && error.contains("quay: "),
        "{error}"
    );

    other.now_pings(Ping::healthy());
    proxy.sees(other, Healthy).await;
    assert_eq!(
        service_of(&proxy, "again", &[ask("quay").as_bytes()]).await,
        "quay"
    );
});

on_each_proxy!(
    a_replica_that_breaks_leaves_its_clients_to_its_service,
    |world| {
        let (replicas, services) = two_services(world).await;
        let [one, two, _] = &replicas;
        let proxy = world.proxy_with(services).await;
        proxy.sees(one, Healthy).await;
        one.refuses_clients().await;
        for _ in 0..6 {
            let mut connection = proxy.connect().await;
            connection
                .send(&ClientHello::for_name("dtr.example.com").bytes())
                .await;
            assert_eq!(connection.line().await, two.name());
        }
        proxy.failed_to_reach(one).await;
    }
);

on_each_proxy!(the_status_has_each_service, |world| {
    let (replicas, services) = two_services(world).await;
    let proxy = world.proxy_with(services).await;
    proxy.lists(&["dtr/r1", "dtr/r2", "quay/r3"]).await;
    proxy.sees(&replicas[2], Healthy).await;
    let mut held = proxy.connect().await;
    held.send(&ClientHello::for_name("quay.example.com").bytes())
        .await;
    assert_eq!(held.line().await, "r3");
    // Each worker learns what the others count.
    let status = eventually(LIMIT, "one connection in /status", async || {
        let answer = proxy.try_admin("/status").await?;
        let status: Value = serde_json::from_slice(&answer.body).map_err(|it| it.to_string())?;
        match (
            &status["connections"]["active"],
            &status["services"][1]["connections"]["active"],
        ) {
            (all, quay) if *all == 1 && *quay == 1 => Ok(status),
            _ => Err(status.to_string()),
        }
    })
    .await;

    assert_eq!(
        (&status["version"], &status["healthy"]),
        (&json!(1), &json!(true)),
        "{status}"
    );
    let services = status["services"].as_array().unwrap();
    let named: Vec<&Value> = services.iter().map(|one| &one["service"]).collect();
    let quay = ["quay.example.com", "*.quay.example.com", "quay.example.org"];
    let expected = [
        json!({ "name": "dtr", "names": ["dtr.example.com"] }),
        json!({ "name": "quay", "names": quay }),
    ];
    assert_eq!(named, expected.iter().collect::<Vec<_>>());
    let unknown = proxy.put_replica("r3", &[], r#"{"state": "drain"}"#).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
});

on_host!(
    without_the_filter_each_service_falls_back_on_its_own,
    |world| {
        let (replicas, services) = two_services(world).await;
        // The first root, which is the one that ticks.
        let dies_at_each_tick = trap_when(FILTER, "proxy_on_tick", Arg(0), 1);
        let proxy = world.proxy_of(&dies_at_each_tick, services).await;
        proxy.logs("unreachable").await;
        for _ in 0..8 {
            let quay = ClientHello::for_name("quay.example.com").bytes();
            assert_eq!(service_of(&proxy, "in TLS", &[&quay]).await, "quay");
            let dtr: &[u8] = b"GET / HTTP/1.1\r\nHost: dtr.example.com\r\n\r\n";
            assert_eq!(service_of(&proxy, "as Host", &[dtr]).await, "dtr");
        }
        drop(replicas);
    }
);

//! Registries come and go.

use dtr_lb_tests::{
    ClientHello, Connection, Healthy, Ping, Proxy, Replica, Standin, Unhealthy, on_each_proxy,
    on_host, service,
};
use serde_json::json;

use super::two_services;

/// Asks for a service, and who answers.
async fn who_answers(proxy: &Proxy, service: &str) -> (String, Connection) {
    let mut connection = proxy.connect().await;
    let request = format!("GET /who HTTP/1.1\r\nHost: {service}.example.com\r\n\r\n");
    let answer = connection.request(request.as_bytes()).await;
    let who = answer.header("x-replica").unwrap_or("nobody").to_owned();
    (who, connection)
}

on_each_proxy!(services_come_and_go_and_nobody_notices, |world| {
    let dtr = world.replica(Replica::healthy()).await;
    let quay = world.replica(Replica::healthy()).await;
    let harbor = world.replica(Replica::healthy()).await;
    let alone = json!({ "replicas": [dtr.config()] });
    let with = |others: &[(&str, &Standin)], default: &str| {
        let mut services = vec![service("dtr", &[&dtr], json!({}))];
        let others = others.iter();
        services.extend(others.map(|(name, replica)| service(name, &[replica], json!({}))));
        json!({ "services": services, "default": default })
    };
    let mut proxy = world.following_proxy(with(&[("quay", &quay)], "dtr")).await;
    proxy.sees(&quay, Healthy).await;
    let (who, mut held) = who_answers(&proxy, "quay").await;
    assert_eq!(who, quay.name());
    proxy.order(&dtr, "drain").await;
    proxy.is_in_state(&dtr, "drain").await;
    proxy.order(&dtr, "ready").await;
    proxy.is_in_state(&dtr, "healthy").await;
    // They ask for dtr.
    let load = proxy.load(4);

    let changes = [
        (
            "one is added",
            with(&[("quay", &quay), ("harbor", &harbor)], "dtr"),
            Some("harbor"),
        ),
        (
            "one is removed",
            with(&[("harbor", &harbor)], "dtr"),
            Some("harbor"),
        ),
        ("one is all there is", alone.clone(), None),
        (
            "it is one of several again",
            with(&[("quay", &quay)], "quay"),
            Some("quay"),
        ),
        (
            "the default is another",
            with(&[("quay", &quay)], "dtr"),
            Some("quay"),
        ),
    ];
    for (why, change, asked) in changes.iter().cycle().take(15) {
        world.reload(&mut proxy, change.clone()).await;
        load.is_answered(20).await;
        if let Some(asked) = asked {
            let expected = if *asked == "quay" { &quay } else { &harbor };
            proxy.sees(expected, Healthy).await;
            assert_eq!(who_answers(&proxy, asked).await.0, expected.name(), "{why}");
        }
    }

    let failed = load.ends().await;
    assert!(failed.is_empty(), "{failed:#?}");
    let answer = held
        .request(b"GET /who HTTP/1.1\r\nHost: quay.example.com\r\n\r\n")
        .await;
    assert_eq!(
        answer.header("x-replica"),
        Some(quay.name()),
        "it is not cut"
    );
});

on_host!(a_client_that_has_not_asked_holds_nothing_up, |world| {
    let ([one, two, other], mut services) = two_services(world).await;
    services["hello_timeout"] = "1h".into();
    let mut proxy = world.following_proxy(services.clone()).await;
    proxy.sees(&other, Healthy).await;
    let silent = proxy.connect().await;
    let mut begun = proxy.connect().await;
    let hello = ClientHello::for_name("dtr.example.com").bytes();
    let (first, rest) = hello.split_at(50);
    begun.send(first).await;
    proxy.measures("dtr_lb_host_connections_active", 2.0).await;
    one.now_pings(Ping::fails("garant: down"));
    proxy.sees(&one, Unhealthy).await;
    let sick = world
        .replica(Replica::pings(Ping::fails("registry: gone")))
        .await;

    let mut next = services.clone();
    next["services"][1] = service("quay", &[&sick], json!({}));
    world.reload(&mut proxy, next).await;
    proxy.sees(&sick, Unhealthy).await;

    begun.send(rest).await;
    assert_eq!(
        begun.line().await,
        two.name(),
        "what is known of the replicas holds"
    );
    begun.receives(&hello).await;
    drop(silent);
    proxy.counts(&two, "active", 1).await;
    drop(begun);
    proxy.counts(&two, "active", 0).await;
});

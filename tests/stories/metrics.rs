//! What is measured: by the same names and labels on both proxies.

use dtr_lb_tests::{
    Authority, Healthy, LIMIT, Ping, Replica, Samples, Traffic, Unhealthy, eventually,
    on_each_proxy, on_host, patient_probes,
};
use serde_json::json;

on_each_proxy!(metrics_tell_what_happened, |world| {
    let well = world
        .replica(Replica::healthy().with("name", "dtr-1.eu"))
        .await;
    let sick = world.replica(Replica::healthy()).await;
    let proxy = world.proxy_with(patient_probes()).await;
    proxy.sees(&well, Healthy).await;
    proxy.sees(&sick, Healthy).await;
    proxy.measures("dtr_lb_usable", 2.0).await;
    let first = proxy.metrics().await;
    for name in EXPECTED {
        assert!(first.contains_key(name), "no {name} in {first:#?}");
    }

    sick.now_pings(Ping::fails("garant: down"));
    proxy.sees(&sick, Unhealthy).await;
    let held = [proxy.connect().await, proxy.connect().await];
    proxy
        .measures(r#"dtr_lb_replica_active{replica="dtr-1.eu"}"#, 2.0)
        .await;
    for name in [
        r#"dtr_lb_replica_usable{replica="r2"}"#,
        r#"dtr_lb_replica_healthy{replica="r2"}"#,
    ] {
        proxy.measures(name, 0.0).await;
    }
    proxy.measures("dtr_lb_usable", 1.0).await;
    let second = proxy.metrics().await;
    never_fall(&first, &second);
    for name in [
        r#"dtr_lb_replica_probes_failed_total{reason="status",replica="r2"}"#,
        r#"dtr_lb_replica_component_errors_total{component="garant",replica="r2"}"#,
    ] {
        assert!(second.get(name) >= Some(&3.0), "{name} in {second:#?}");
    }
    // The start counts as healthy, so that this was the only change.
    let changes = r#"dtr_lb_replica_changes_total{replica="r2"}"#;
    assert_eq!(second.get(changes), Some(&1.0), "{second:#?}");

    drop(held);
    proxy.order(&well, "drain").await;
    for _ in 0..3 {
        proxy.connect().await.is_refused().await;
    }
    proxy.measures("dtr_lb_usable", 0.0).await;
    for name in ["dtr-1.eu", "r2"] {
        let gauge = format!(r#"dtr_lb_replica_active{{replica="{name}"}}"#);
        proxy.measures(&gauge, 0.0).await;
    }
    let refused = r#"dtr_lb_listener_refused_total{listener="443",reason="all-down"}"#;
    proxy.measures(refused, 3.0).await;
    let given = r#"dtr_lb_listener_connections_total{listener="443"}"#;
    proxy.measures(given, 2.0).await;
    never_fall(&second, &proxy.metrics().await);
});

on_each_proxy!(probes_are_timed, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;

    // Envoy shows a histogram when it flushes its statistics, and in the unit it is in.
    let units = [("seconds", "10"), ("milliseconds", "10000")];
    eventually(LIMIT, "probes within 10 s in the histogram", async || {
        let samples = proxy.metrics().await;
        let buckets = units.map(|(unit, ten_seconds)| {
            let name = format!("dtr_lb_replica_probe_duration_{unit}_bucket");
            samples.get(&format!(r#"{name}{{le="{ten_seconds}",replica="r1"}}"#))
        });
        match buckets {
            [Some(count), None] | [None, Some(count)] if *count >= 1.0 => Ok(()),
            _ => Err(format!("{samples:#?}")),
        }
    })
    .await;
});

on_host!(a_session_is_measured_while_it_runs, |world| {
    let replica = world.replica(Replica::serves(Traffic::Echoes)).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;

    let mut session = proxy.connect().await;
    session.echoes(b"hello").await;
    for to in ["client", "replica"] {
        let labels = format!(r#"listener="443",replica="r1",to="{to}""#);
        let bytes = format!("dtr_lb_host_bytes_total{{{labels}}}");
        proxy.measures(&bytes, 5.0).await;
    }
    let connects = r#"dtr_lb_host_connect_duration_seconds_count{replica="r1"}"#;
    proxy.measures(connects, 1.0).await;
    let sessions = "dtr_lb_host_session_duration_seconds_count";
    proxy.measures(sessions, 0.0).await;

    drop(session);
    proxy.measures(sessions, 1.0).await;
});

on_host!(
    a_replica_that_is_taken_out_takes_its_traffic_along,
    |world| {
        let first = world.replica(Replica::serves(Traffic::Echoes)).await;
        let mut proxy = world.proxy().await;
        proxy.sees(&first, Healthy).await;
        proxy.connect().await.echoes(b"hello").await;
        let before = r#"dtr_lb_host_bytes_total{listener="443",replica="r1",to="client"}"#;
        proxy.measures(before, 5.0).await;
        proxy.measures("dtr_lb_host_connections_active", 0.0).await;

        let config = json!({ "replicas": [{ "name": "other", "address": "127.0.0.1" }] });
        world.reload(&mut proxy, config).await;
        proxy.measures(&before.replace("r1", "other"), 0.0).await;
        eventually(LIMIT, "the first one's to be gone", async || {
            let text = proxy.metrics_text().await;
            let is_gone = !text.contains(r#"listener="443",replica="r1""#);
            is_gone.then_some(()).ok_or(text)
        })
        .await;
        let reloads = r#"dtr_lb_host_config_reloads_total{result="success"}"#;
        proxy.measures(reloads, 1.0).await;
    }
);

on_each_proxy!(all_away_is_a_reason_of_its_own, |world| {
    let only = world.replica(Replica::healthy()).await;
    let proxy = world.proxy_with(json!({})).await;
    proxy.sees(&only, Healthy).await;
    proxy.order(&only, "maintenance").await;

    proxy.connect().await.is_refused().await;

    let refused = r#"dtr_lb_listener_refused_total{listener="443",reason="all-away"}"#;
    proxy.measures(refused, 1.0).await;
});

on_host!(
    the_end_of_a_certificate_is_measured_and_outlives_a_reload,
    |world| {
        let authority = Authority::new();
        let replica = world.replica(Replica::healthy().https(&authority)).await;
        let plain = world.replica(Replica::healthy()).await;
        let config =
            json!({ "health": { "target": "https:8080/_ping", "verify": "none", "fall": 1 } });
        let mut proxy = world.proxy_with(config.clone()).await;
        proxy.sees(&replica, Healthy).await;
        proxy.sees(&plain, Unhealthy).await;
        // rcgen's default: 1 January 4096.
        let end = r#"dtr_lb_host_certificate_expiry_timestamp_seconds{check="ping",replica="r1"}"#;
        proxy.measures(end, 67_090_118_400.0).await;
        let absent = end.replace("r1", "r2");
        proxy.does_not_measure(&absent).await;

        replica.stops().await;
        world.reload(&mut proxy, config).await;
        proxy.measures(end, 67_090_118_400.0).await;
    }
);

/// Counters only grow; a gauge may do as it likes.
fn never_fall(before: &Samples, after: &Samples) {
    let gauges = ["_active", "_usable", "_healthy"];
    for (name, value) in before {
        let family = name.split('{').next().unwrap_or_default();
        if gauges.iter().any(|gauge| family.ends_with(gauge)) {
            continue;
        }
        assert!(
            after.get(name) >= Some(value),
            "{name} was {value}: {after:#?}"
        );
    }
}

const EXPECTED: [&str; 17] = [
    "dtr_lb_changes_announced_total",
    r#"dtr_lb_listener_connections_total{listener="443"}"#,
    r#"dtr_lb_listener_refused_total{listener="443",reason="all-away"}"#,
    r#"dtr_lb_listener_refused_total{listener="443",reason="all-down"}"#,
    r#"dtr_lb_listener_refused_total{listener="443",reason="all-full"}"#,
    "dtr_lb_not_steered_total",
    r#"dtr_lb_replica_active{replica="dtr-1.eu"}"#,
    r#"dtr_lb_replica_changes_total{replica="dtr-1.eu"}"#,
    r#"dtr_lb_replica_connect_failures_total{replica="dtr-1.eu"}"#,
    r#"dtr_lb_replica_connections_total{replica="dtr-1.eu"}"#,
    r#"dtr_lb_replica_healthy{replica="dtr-1.eu"}"#,
    r#"dtr_lb_replica_probes_failed_total{reason="connect-timeout",replica="dtr-1.eu"}"#,
    r#"dtr_lb_replica_probes_failed_total{reason="timeout",replica="r2"}"#,
    r#"dtr_lb_replica_probes_ok_total{replica="dtr-1.eu"}"#,
    r#"dtr_lb_replica_usable{replica="dtr-1.eu"}"#,
    r#"dtr_lb_replica_usable{replica="r2"}"#,
    "dtr_lb_usable",
];

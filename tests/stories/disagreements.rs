//! Replicas that are all healthy, and not alike: which differ is reported, and nothing else.

use dtr_lb_tests::{Healthy, LIMIT, Ping, Replica, eventually, on_each_proxy};
use serde_json::{Value, json};

on_each_proxy!(a_replica_that_is_not_like_the_others_is_reported, |world| {
    let usual = world.replica(Replica::pings(USUAL)).await;
    let _same = world.replica(Replica::pings(USUAL)).await;
    let odd = world
        .replica(Replica::pings(Ping::Reveals(3600, "nginx/1.12")))
        .await;
    let proxy = world
        .proxy_with(json!({ "compare_interval": "600ms" }))
        .await;
    proxy.sees(&odd, Healthy).await;

    proxy.logs(r#"replica "r3": answers with Server: "#).await;
    proxy.logs(r#"replica "r3": its clock is "#).await;
    // Any worker may answer; the others read what the one that probes has left.
    let expected = [("clock", json!(["r3"])), ("version", json!(["r3"]))];
    eventually(LIMIT, "both in the status", async || {
        let answer = proxy.request_admin("GET", "/status", &[], b"").await;
        let status: Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let found = status["disagreements"].as_array().cloned();
        let found = found.unwrap_or_default();
        let is_as_expected = found.len() == expected.len()
            && (found.iter().zip(&expected))
                .all(|(one, (subject, who))| one["subject"] == *subject && one["replicas"] == *who);
        is_as_expected.then_some(()).ok_or(status.to_string())
    })
    .await;
    eventually(LIMIT, "the clock in the metrics", async || {
        let metrics = proxy.metrics().await;
        let skew = metrics.get(CLOCK_SKEW).copied();
        let is_right = skew.is_some_and(|skew| (3590.0..=3610.0).contains(&skew));
        is_right.then_some(()).ok_or(format!("{skew:?}"))
    })
    .await;
    proxy.sees(&odd, Healthy).await;

    odd.now_pings(USUAL);
    for over in ["its clock is ", "answers with Server: nginx/1.12"] {
        proxy
            .logs(&format!(r#"no longer: replica "r3": {over}"#))
            .await;
    }
    let asked = usual.probes();
    let login = asked.iter().filter(|probe| probe.path == "/v2/");
    assert!(login.count() >= 2, "{asked:#?}");
    let logged = proxy
        .logged(r#"replica "r3": answers with Server: nginx/1.12, the others with nginx/1.27"#);
    assert_eq!(logged.len(), 2, "once, and that it is over: {logged:#?}");
});

const USUAL: Ping = Ping::Reveals(0, "nginx/1.27");
const CLOCK_SKEW: &str = r#"dtr_lb_replica_clock_skew_seconds{replica="r3"}"#;

//! What the admin listener shows: the page and `/status`.

use std::io::Read;

use dtr_lb_tests::{
    Healthy, LIMIT, Ping, Replica, Unhealthy, eventually, on_each_proxy, patient_probes,
};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

on_each_proxy!(the_page_needs_nothing_but_itself, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;

    let page = proxy.request_admin("GET", "/", &[], b"").await;

    assert_eq!(page.status, 200);
    let kind = page.header("content-type").unwrap();
    assert!(kind.starts_with("text/html"), "{kind}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let policy = page.header("content-security-policy").unwrap();
    for rule in [
        "default-src 'none'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert_eq!(page.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    let mut unpacked = GzDecoder::new(&page.body[..]);
    unpacked.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("<!doctype html>"), "{text}");
    for elsewhere in ["http://", "https://", "src=", "@import", "href=\"/"] {
        let found = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(elsewhere), "{elsewhere} in the page");
    }
});

on_each_proxy!(status_has_the_documented_shape, |world| {
    let well = world.replica(Replica::healthy()).await;
    let sick = world
        .replica(Replica::pings(Ping::fails("notary: no key")))
        .await;
    let mut config = patient_probes();
    config["max_connections"] = 500.into();
    let proxy = world.proxy_with(config).await;
    proxy.sees(&well, Healthy).await;
    proxy.sees(&sick, Unhealthy).await;
    // Any worker may answer, and reads the other's answers somewhat later.
    let answer = eventually(LIMIT, "two answers", async || {
        let answer = proxy
            .request_admin("GET", "/status?as=json", &[], b"")
            .await;
        let status: Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        match &status["replicas"][1]["checks"][0]["answers"] {
            Value::Array(answers) if answers.len() >= 2 => Ok(answer),
            _ => Err(status.to_string()),
        }
    })
    .await;

    assert_eq!(answer.header("content-type"), Some("application/json"));
    let status: Value = serde_json::from_slice(&answer.body).unwrap();
    let fields =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(fields(&status), WHOLE, "{status}");
    assert_eq!(status["version"], 1);
    assert_eq!(status["healthy"], true);
    assert_eq!(status["policy"], "least-connections");
    assert_eq!(fields(&status["lease"]), LEASE, "{status}");
    assert_eq!(
        status["listeners"],
        json!([{ "port": 443, "usable": 1, "checks": ["ping"] }])
    );
    assert_eq!(status["connections"], json!({ "active": 0, "limit": 500 }));
    let entry = &status["replicas"][1];
    assert_eq!(fields(entry), REPLICA, "{entry}");
    assert_eq!(entry["name"], "r2");
    assert_eq!(entry["reason"], "status");
    assert_eq!(entry["component"], "notary");
    assert_eq!(entry["error"], "notary: no key");
    let now = status["now_unix_ms"].as_u64().unwrap();
    let since = entry["since_unix_ms"].as_u64().unwrap();
    assert!((1..60_000).contains(&(now - since)), "{since} at {now}");
    let check = &entry["checks"][0];
    assert_eq!(fields(check), CHECK, "{check}");
    let answers = check["answers"].as_array().unwrap();
    for answer in answers {
        assert_eq!(fields(answer), ["latency_us", "reason", "unix_ms"]);
        assert_eq!(answer["reason"], "status");
        assert!(answer["latency_us"].as_u64().unwrap() > 0, "{answer}");
    }
});

const WHOLE: [&str; 16] = [
    "cluster_status",
    "connections",
    "disagreements",
    "error",
    "events",
    "fqdn",
    "healthy",
    "lease",
    "listeners",
    "min_healthy",
    "now_unix_ms",
    "policy",
    "program",
    "replicas",
    "version",
    "when_all_down",
];
const LEASE: [&str; 3] = ["held_for_ms", "mine", "renewed_ms_ago"];
const REPLICA: [&str; 19] = [
    "address",
    "backup",
    "certificate_expires_unix_ms",
    "checks",
    "clock_skew_ms",
    "comment",
    "component",
    "connections",
    "downtime_ms",
    "error",
    "held_for_ms",
    "max_connections",
    "name",
    "order",
    "reason",
    "since_unix_ms",
    "state",
    "usable",
    "weight",
];
const CHECK: [&str; 12] = [
    "answers",
    "bad",
    "component",
    "error",
    "good",
    "last",
    "name",
    "reason",
    "settled",
    "since_unix_ms",
    "streak",
    "verdict",
];

on_each_proxy!(head_is_get_without_the_body, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;

    for path in ["/", "/status", "/_ping", "/nothing"] {
        let get = proxy.request_admin("GET", path, &[], b"").await;
        let head = proxy.request_admin("HEAD", path, &[], b"").await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert!(head.body.is_empty(), "{path}: {}", head.text());
    }
});

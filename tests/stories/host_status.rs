//! What the host itself counts, at `/host`.

use dtr_lb_tests::{
    Healthy, LIMIT, Ping, Proxy, Replica, Unhealthy, eventually, on_envoy, on_host,
};
use serde_json::{Value, json};

async fn host_status(proxy: &Proxy) -> Value {
    let answer = proxy.request_admin("GET", "/host", &[], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

on_host!(the_host_counts_bytes_and_refusals_by_reason, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let mut proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;
    proxy.connect().await.answered_by(&replica).await;
    replica.now_pings(Ping::fails("garant: no answer"));
    proxy.sees(&replica, Unhealthy).await;
    proxy.connect().await.is_refused().await;

    let status = eventually(LIMIT, "both in /host", async || {
        let status = host_status(&proxy).await;
        let listener = &status["listeners"][0];
        match (&listener["connections"], &listener["refused"]) {
            (connections, refused) if *connections == 1 && *refused == json!({ "all-down": 1 }) => {
                Ok(status)
            }
            _ => Err(status.to_string()),
        }
    })
    .await;
    assert_eq!(status["listeners"][0]["port"], 443, "{status}");
    let entry = &status["replicas"][0];
    assert_eq!(entry["name"], "r1", "{status}");
    for way in ["bytes_to_replica", "bytes_to_client"] {
        let bytes = entry[way].as_u64().unwrap();
        assert!((1..4096).contains(&bytes), "{status}");
        assert_eq!(status["listeners"][0][way], bytes, "it is the only one");
    }
    assert_eq!(status["reloads_succeeded"], 0);
    assert_eq!(status["configured_unix_ms"], status["started_unix_ms"]);

    world.reload(&mut proxy, json!({})).await;

    let after = host_status(&proxy).await;
    assert_eq!(after["reloads_succeeded"], 1, "{after}");
    assert_eq!(after["started_unix_ms"], status["started_unix_ms"]);
    assert!(
        after["configured_unix_ms"].as_u64() > status["configured_unix_ms"].as_u64(),
        "{after}"
    );
    assert_eq!(after["replicas"], status["replicas"], "they go on");
});

on_host!(it_needs_the_token_where_all_does, |world| {
    let _replica = world.replica(Replica::healthy()).await;
    let admin = json!({ "token": "s3cret-token", "protect": "all" });
    let proxy = world.proxy_with(json!({ "admin": admin })).await;
    let bearer = [("authorization", "Bearer s3cret-token")];
    let cases = [
        ("GET", &[][..], 401),
        ("GET", &bearer, 200),
        ("PUT", &bearer, 405),
    ];
    for (method, headers, status) in cases {
        let answer = proxy.request_admin(method, "/host", headers, b"").await;
        assert_eq!(answer.status, status, "{method} {headers:?}");
    }
});

on_envoy!(an_envoy_has_no_such_path, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;
    let answer = proxy.request_admin("GET", "/host", &[], b"").await;
    assert_eq!(answer.status, 404, "the page takes that for an answer");
});

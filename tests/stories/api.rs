//! Changes by the API, and who may make them.

use dtr_lb_tests::{Healthy, Ping, Replica, Unhealthy, on_each_proxy, on_host};
use serde_json::{Value, json};

on_each_proxy!(a_change_needs_no_body, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;
    for (query, status, state) in [
        ("state=drain", 200, "drain"),
        ("state=away", 400, "drain"),
        ("state=", 400, "drain"),
        ("why=cables&state=maintenance", 200, "maintenance"),
        ("why=cables", 415, "maintenance"),
        ("state=ready", 200, "healthy"),
    ] {
        let path = format!("/replicas/r1?{query}");
        let answer = proxy.request_admin("PUT", &path, &[], b"").await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        proxy.is_in_state(&replica, state).await;
    }
    let answer = proxy
        .request_admin("GET", "/replicas/r1?state=drain", &[], b"")
        .await;
    assert_eq!(
        answer.status,
        405,
        "a link changes nothing: {}",
        answer.text()
    );
});

on_each_proxy!(a_change_that_is_wrong_is_refused_with_the_reason, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;
    let drain = r#"{"state":"drain"}"#;
    let long = format!(r#"{{"state":"drain","pad":"{}"}}"#, "x".repeat(5000));

    let cases = [
        ("an unknown name", 404, "r9", drain),
        ("no name", 404, "", drain),
        ("a name with a path", 404, "r1/x", drain),
        ("an unknown state", 400, "r1", r#"{"state":"away"}"#),
        ("no state", 400, "r1", "{}"),
        ("another field", 400, "r1", r#"{"state":"drain","now":1}"#),
        ("not JSON", 400, "r1", "drain"),
        ("no body", 400, "r1", ""),
        ("a long body", 413, "r1", &long),
    ];
    for (why, status, name, body) in cases {
        let answer = proxy.put_replica(name, &[], body).await;
        assert_eq!(answer.status, status, "{why}: {}", answer.text());
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(!problem["error"].as_str().unwrap().is_empty(), "{why}");
    }

    let plain = [("content-type", "text/plain")];
    let answer = proxy
        .request_admin("PUT", "/replicas/r1", &plain, drain.as_bytes())
        .await;
    assert_eq!(answer.status, 415, "{}", answer.text());
    let answer = proxy
        .request_admin("PUT", "/replicas/r1", &[], drain.as_bytes())
        .await;
    assert_eq!(answer.status, 415, "no content type: {}", answer.text());

    for (method, path, allowed) in [
        ("GET", "/replicas/r1", "PUT"),
        ("DELETE", "/replicas/r1", "PUT"),
        ("PUT", "/status", "GET, HEAD"),
        ("DELETE", "/", "GET, HEAD"),
        ("PUT", "/_ping", "GET, HEAD"),
    ] {
        let answer = proxy.request_admin(method, path, &[], b"").await;
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    assert_eq!(
        proxy
            .request_admin("GET", "/nothing", &[], b"")
            .await
            .status,
        404
    );

    proxy.is_in_state(&replica, "healthy").await;
    proxy.connect().await.answered_by(&replica).await;
});

// Envoy answers the same, but closes while the client still sends, so that the
// answer may be lost.
on_host!(a_body_of_a_gigabyte_is_not_read_to_its_end, |world| {
    let _replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;

    // Most of it is never sent.
    let length = [("content-length", "1073741824")];
    let answer = proxy
        .put_replica("r1", &length, &"x".repeat(128 << 10))
        .await;

    assert_eq!(answer.status, 413, "{}", answer.text());
});

on_each_proxy!(another_sites_page_changes_nothing, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;
    let drain = r#"{"state":"drain"}"#;

    for headers in [
        &[("origin", "https://evil.example.com")][..],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
        &[("sec-fetch-site", "cross-site")],
        // A name of its own that it has pointed at this machine.
        &[("host", "evil.example.com")],
    ] {
        let answer = proxy.put_replica("r1", headers, drain).await;
        assert_eq!(answer.status, 403, "{headers:?}: {}", answer.text());
    }
    // What a form may send without being asked.
    for method in ["POST", "GET"] {
        let plain = [("content-type", "text/plain"), ("content-length", "17")];
        let answer = proxy
            .request_admin(method, "/replicas/r1", &plain, drain.as_bytes())
            .await;
        assert_eq!(answer.status, 405, "{}", answer.text());
    }
    let asks = [
        ("origin", "https://evil.example.com"),
        ("access-control-request-method", "PUT"),
    ];
    let answer = proxy
        .request_admin("OPTIONS", "/replicas/r1", &asks, b"")
        .await;
    let allows = answer.header("access-control-allow-origin");
    assert_eq!((answer.status, allows), (405, None));

    proxy.is_in_state(&replica, "healthy").await;
});

on_each_proxy!(with_a_token_only_its_holder_changes_anything, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let admin = json!({ "bind": "127.0.0.1:0", "token": "a-long-secret" });
    let proxy = world.proxy_with(json!({ "admin": admin })).await;
    proxy.sees(&replica, Healthy).await;
    let drain = r#"{"state":"drain"}"#;

    for headers in [
        &[][..],
        &[("authorization", "Bearer a-long-secreT")],
        &[("authorization", "Bearer a-long-secret2")],
        &[("authorization", "Basic a-long-secret")],
        &[("authorization", "")],
    ] {
        for name in ["r1", "r9"] {
            let answer = proxy.put_replica(name, headers, drain).await;
            assert_eq!(answer.status, 401, "{headers:?}: {}", answer.text());
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    proxy.is_in_state(&replica, "healthy").await;

    let right = [
        ("authorization", "Bearer a-long-secret"),
        ("host", "lb.example.com"),
    ];
    let answer = proxy.put_replica("r1", &right, drain).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let changed: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(changed, json!({ "name": "r1", "state": "drain" }));
    proxy.is_in_state(&replica, "drain").await;
    let status = proxy.request_admin("GET", "/status", &[], b"").await.text();
    assert!(
        !status.contains("a-long-secret"),
        "the token is shown to all"
    );
});

on_each_proxy!(the_balancers_ping_counts_to_min_healthy, |world| {
    let one = world.replica(Replica::healthy()).await;
    let two = world.replica(Replica::healthy()).await;
    let three = world.replica(Replica::healthy()).await;
    let proxy = world.proxy_with(json!({ "min_healthy": 2 })).await;
    for replica in [&one, &two, &three] {
        proxy.sees(replica, Healthy).await;
    }

    one.now_pings(Ping::fails("rethinkdb: down"));
    proxy.sees(&one, Unhealthy).await;
    let (status, body) = proxy.ping().await;
    assert_eq!(
        (status, body),
        (200, json!({ "Error": "", "Healthy": true }))
    );

    proxy.order(&two, "drain").await;
    let (status, body) = proxy.ping().await;
    assert_eq!((status, &body["Healthy"]), (503, &false.into()), "{body}");
    let error = body["Error"].as_str().unwrap();
    for part in ["1 of 3", "2 needed", "rethinkdb: down", "r2: drain"] {
        assert!(error.contains(part), "{error}");
    }
    // Those there are serve all the same.
    proxy.connect().await.answered_by(&three).await;

    proxy.order(&two, "ready").await;
    assert_eq!(proxy.ping().await.0, 200);
});

//! What a replica answers, and what is made of it: the table in the reference.

use dtr_lb_tests::{
    Healthy, LIMIT, Ping, Proxy, Replica, Standin, Unhealthy, eventually, on_each_proxy,
    patient_probes,
};
use serde_json::json;

/// An answer with these header lines and this body.
fn says(head: &str, body: &[u8]) -> Ping {
    let length = body.len();
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n");
    Ping::Sends([head.as_bytes(), body].concat())
}

on_each_proxy!(odd_bodies_have_the_verdict_the_reference_gives, |world| {
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV\xf2\x00";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                   7\r\n{\"Healt\r\n9\r\nhy\":false\r\n1\r\n}\r\n0\r\n\r\n";
    let huge_json = format!(r#"{{"pad":"{}","Healthy":false}}"#, "x".repeat(200_000));
    // `None`: healthy; else the reason.
    let cases: [(&str, Ping, Option<&str>); 19] = [
        ("no body", says("200 OK", b""), None),
        ("not JSON", says("200 OK", b"pong"), None),
        ("HTML", says("200 OK", b"<html>login</html>"), None),
        ("not UTF-8", says("200 OK", b"\xff\xfe\0\x80"), None),
        (
            "compressed",
            says("200 OK\r\ncontent-encoding: gzip", gzip),
            None,
        ),
        ("a megabyte", says("200 OK", &vec![b'x'; 1 << 20]), None),
        (
            "JSON beyond the bound",
            says("200 OK", huge_json.as_bytes()),
            None,
        ),
        ("a list", says("200 OK", br#"[{"Healthy":false}]"#), None),
        ("a number", says("200 OK", b"0"), None),
        ("other fields", says("200 OK", br#"{"ok":0}"#), None),
        (
            "an object where a word belongs",
            says("200 OK", br#"{"Healthy":{"a":1}}"#),
            None,
        ),
        (
            "a word for well",
            says("200 OK", br#"{"status":"UP"}"#),
            None,
        ),
        (
            "a word for sick",
            says("200 OK", br#"{"status":"degraded"}"#),
            Some("says-unhealthy"),
        ),
        (
            "the guide's older key",
            says("200 OK", br#"{"Health":false}"#),
            Some("says-unhealthy"),
        ),
        (
            "in chunks",
            Ping::Sends(chunked.as_bytes().to_vec()),
            Some("says-unhealthy"),
        ),
        (
            "a good body with a bad status",
            says("503 No", br#"{"Healthy":true}"#),
            Some("status"),
        ),
        (
            "a redirect",
            says("302 Found\r\nlocation: /login", b""),
            Some("status"),
        ),
        ("a slow body", Ping::Drips, Some("timeout")),
        (
            "not HTTP",
            Ping::Sends(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
            Some("not-http"),
        ),
    ];
    let mut replicas = Vec::new();
    for (_, ping, _) in &cases {
        replicas.push(world.replica(Replica::pings(ping.clone())).await);
    }
    let proxy = world.proxy_with(patient_probes()).await;

    for ((why, _, verdict), replica) in cases.iter().zip(&replicas) {
        replica.is_probed(1).await;
        is_judged(&proxy, replica, why, *verdict).await;
    }
});

on_each_proxy!(an_endless_body_is_read_up_to_the_bound, |world| {
    let replica = world
        .replica(Replica::pings(says("503 No", &vec![b'x'; 1 << 20])))
        .await;
    let proxy = world.proxy().await;

    proxy.gives_reason(&replica, "status", "xxx").await;

    let entry = proxy.status_of(&replica).await.unwrap();
    let error = entry["error"].as_str().unwrap();
    assert!(error.chars().count() <= 513, "{} kept", error.len());
});

on_each_proxy!(
    a_text_of_control_characters_and_markup_stays_text,
    |world| {
        let text = "</script><img src=x onerror=alert(1)>\r\n\u{1b}[31mrethinkdb\u{202e}\u{0}";
        let _well = world.replica(Replica::healthy()).await;
        let sick = world.replica(Replica::pings(Ping::fails(text))).await;
        let proxy = world.proxy().await;

        proxy.gives_reason(&sick, "status", "<img src=x").await;

        let entry = proxy.status_of(&sick).await.unwrap();
        assert_eq!(entry["component"], "rethinkdb");
        let error = entry["error"].as_str().unwrap();
        assert!(
            error.contains(r"\u{1b}[31m") && error.contains(r"\u{202e}"),
            "{error}"
        );
        proxy.logs(r"\u{d}\u{a}\u{1b}[31mrethinkdb").await;
        let page = proxy.request_admin("GET", "/", &[], b"").await;
        assert!(
            !page.text().contains("onerror"),
            "texts are not in the page"
        );
    }
);

on_each_proxy!(a_pointer_says_where_a_body_tells_of_health, |world| {
    let cases = [
        ("well", r#"{"a":{"b/c":[0,"up"]}}"#, None),
        (
            "sick",
            r#"{"a":{"b/c":[0,"down"]}}"#,
            Some("says-unhealthy"),
        ),
        ("nothing there", r#"{"a":{}}"#, Some("bad-body")),
        ("not JSON", "up", Some("bad-body")),
        (
            "another type",
            r#"{"a":{"b/c":[0,1]}}"#,
            Some("says-unhealthy"),
        ),
    ];
    let mut replicas = Vec::new();
    for (_, body, _) in cases {
        let ping = Ping::Says(200, body.to_owned());
        replicas.push(world.replica(Replica::pings(ping)).await);
    }
    let body = json!({ "pointer": "/a/b~1c/1", "healthy": "up" });
    let proxy = world
        .proxy_with(json!({ "health": { "body": body } }))
        .await;

    for ((why, _, verdict), replica) in cases.iter().zip(&replicas) {
        is_judged(&proxy, replica, why, *verdict).await;
    }
});

/// Waits for a replica to be unhealthy for this reason, or to be healthy.
async fn is_judged(proxy: &Proxy, replica: &Standin, why: &str, reason: Option<&str>) {
    let Some(reason) = reason else {
        return proxy.sees(replica, Healthy).await;
    };
    proxy.sees(replica, Unhealthy).await;
    // One that was late once more is unhealthy for another reason, for a while.
    eventually(LIMIT, format!("{reason} for {why}"), async || {
        let entry = proxy.status_of(replica).await?;
        (entry["reason"] == reason)
            .then_some(())
            .ok_or(entry.to_string())
    })
    .await;
}

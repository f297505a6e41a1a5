//! What is asked of a replica, where, and how often.

use std::time::Instant;

use dtr_lb_tests::{
    Authority, Healthy, LIMIT, Ping, Replica, Unhealthy, eventually, on_each_proxy,
};
use serde_json::{Value, json};

on_each_proxy!(
    each_preset_asks_at_its_path_and_knows_its_answers,
    |world| {
        const UP: &str = r#"{"status":"healthy"}"#;
        const DOWN: &str = r#"{"status":"unhealthy"}"#;
        // Preset, path, a healthy answer, an unhealthy one.
        let cases = [
            ("dtr", "/_ping", (200, r#"{"Healthy":true}"#), (503, "{}")),
            (
                "dtr-legacy",
                "/health",
                (200, r#"{"Health":true}"#),
                (503, ""),
            ),
            ("harbor", "/api/v2.0/health", (200, UP), (200, DOWN)),
            (
                "quay",
                "/health/instance",
                (200, r#"{"data":{}}"#),
                (503, "{}"),
            ),
            ("distribution", "/v2/", (401, r#"{"errors":[]}"#), (503, "")),
            ("nexus", "/service/rest/v1/status", (200, ""), (503, "")),
            (
                "gitlab",
                "/-/readiness?all=1",
                (200, r#"{"status":"ok"}"#),
                (503, "{}"),
            ),
            ("http", "/", (204, ""), (404, "")),
        ];
        let good = cases.map(|(_, path, good, _)| (path, good.0, good.1));
        let bad = cases.map(|(_, path, _, bad)| (path, bad.0, bad.1));
        let with_ports = |mut replica: Replica| {
            for port in 444..=450 {
                replica = replica.serves_port(port);
            }
            replica
        };
        let well = Replica::pings(Ping::by_path(&good));
        let well = world.replica(with_ports(well)).await;
        let sick = Replica::pings(Ping::by_path(&bad));
        let sick = world.replica(with_ports(sick)).await;
        // One listener for each, so that one proxy does for all.
        let listeners: Vec<Value> = (443..)
            .zip(&cases)
            .map(|(port, (preset, ..))| {
                json!({ "bind": "127.0.0.1:0", "port": port,
                        "health": { "preset": preset, "target": "http:8080" } })
            })
            .collect();
        let proxy = world.proxy_with(json!({ "listeners": listeners })).await;

        proxy.sees(&well, Healthy).await;
        let asked = well.probes();
        for (preset, path, ..) in cases {
            let is_asked = asked.iter().any(|probe| probe.path == path);
            assert!(is_asked, "{preset} asks {path}: {asked:?}");
        }
        eventually(LIMIT, "all checks to fail", async || {
            let entry = proxy.status_of(&sick).await?;
            let checks = entry["checks"].as_array().unwrap();
            let fails = checks.iter().all(|check| check["verdict"] == "unhealthy");
            if fails && checks.len() == cases.len() {
                Ok(())
            } else {
                Err(entry.to_string())
            }
        })
        .await;
        for listener in 0..cases.len() {
            proxy.connect_to(listener).await.answered_by(&well).await;
        }
    }
);

on_each_proxy!(by_tcp_a_replica_is_well_while_it_accepts, |world| {
    let silent = world.replica(Replica::pings(Ping::Hangs)).await;
    let short = world.replica(Replica::pings(Ping::Closes)).await;
    let foreign = world
        .replica(Replica::pings(Ping::Sends(b"SSH-2.0-x\r\n".to_vec())))
        .await;
    let refusing = world.replica(Replica::healthy()).await;
    let vanished = world.replica(Replica::healthy()).await;
    refusing.stops().await;
    let proxy = world
        .proxy_with(json!({ "health": { "preset": "tcp", "target": "tcp:8080" } }))
        .await;

    proxy.sees(&refusing, Unhealthy).await;
    for well in [&silent, &short, &foreign, &vanished] {
        proxy.sees(well, Healthy).await;
    }
    vanished.vanishes().await;
    proxy.sees(&vanished, Unhealthy).await;
    proxy.gives_reason(&vanished, "connect-timeout", "").await;
    for well in [&silent, &short, &foreign] {
        proxy.sees(well, Healthy).await;
    }
});

on_each_proxy!(each_listener_may_have_its_own_check, |world| {
    let authority = Authority::new();
    let replica = || Replica::healthy().serves_port(80).probed_on(8443);
    let one = world.replica(replica().https(&authority)).await;
    let other = world.replica(replica().https(&authority)).await;
    // Port 80 is asked where it serves, by HTTP; 443 elsewhere, by HTTPS.
    let proxy = world
        .proxy_with(json!({
            "listeners": [
                { "bind": "127.0.0.1:0", "port": 80,
                  "health": { "target": "http:80/_ping" } },
                { "bind": "127.0.0.1:0", "port": 443,
                  "health": { "target": "https:8443/_ping", "verify": "none" } },
            ],
        }))
        .await;
    proxy.sees(&one, Healthy).await;
    proxy.sees(&other, Healthy).await;

    one.now_pings(Ping::fails("garant: expired"));
    proxy.sees(&one, Unhealthy).await;

    for _ in 0..10 {
        proxy.connect_to(1).await.answered_by(&other).await;
    }
    let before = one.connections();
    for _ in 0..10 {
        proxy.connect_to(0).await.who().await;
    }
    assert!(one.connections() > before, "port 80 has a check of its own");
    let entry = proxy.status_of(&one).await.unwrap();
    let checks = entry["checks"].as_array().unwrap();
    let verdict = |name: &str| {
        let check = checks.iter().find(|check| check["name"] == name);
        check.unwrap_or_else(|| panic!("no {name}: {entry}"))["verdict"].clone()
    };
    assert_eq!(verdict("ping-80"), "healthy");
    assert_eq!(verdict("ping-443"), "unhealthy");
});

on_each_proxy!(probes_carry_the_configured_headers, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let headers = json!({ "Authorization": "Basic cHJvYmU6", "X-Probe": "dtr-lb" });
    let proxy = world
        .proxy_with(json!({ "health": { "headers": headers } }))
        .await;

    proxy.sees(&replica, Healthy).await;

    for probe in replica.probes() {
        assert_eq!(probe.header("authorization"), Some("Basic cHJvYmU6"));
        assert_eq!(probe.header("x-probe"), Some("dtr-lb"));
    }
});

on_each_proxy!(the_rhythm_of_probes_follows_the_state, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let health = json!({
        "interval": "60s", "fast_interval": "100ms", "down_interval": "600ms",
        "timeout": "1s", "rise": 6, "fall": 3, "jitter": 0,
    });
    let proxy = world.proxy_with(json!({ "health": health })).await;
    proxy.sees(&replica, Healthy).await;
    assert_eq!(replica.probes().len(), 1, "the first answer settles it");
    drop(proxy);

    replica.now_pings(Ping::fails("registry: full"));
    let stays_down = world
        .replica(Replica::pings(Ping::fails("registry: full")))
        .await;
    let proxy = world.proxy_with(json!({ "health": health })).await;
    proxy.sees(&replica, Unhealthy).await;
    proxy.sees(&stays_down, Unhealthy).await;
    // While it is down: one each 600 ms. The first may be due at once, or late.
    let started = Instant::now();
    replica.is_probed(3).await;
    let took = started.elapsed().as_millis();
    assert!(took >= 900, "three probes while down in {took} ms");

    // From the first good answer on: one each 100 ms. Where nothing changes there would be
    // as many otherwise.
    replica.now_pings(Ping::healthy());
    replica.is_probed(1).await;
    let before = stays_down.probes().len();
    replica.is_probed(5).await;
    let meanwhile = stays_down.probes().len() - before;
    assert!(meanwhile < 5, "{meanwhile} while a change is pending");
    proxy.sees(&replica, Healthy).await;
});

on_each_proxy!(
    before_its_first_answer_a_replica_is_what_start_says,
    |world| {
        let mute = world.replica(Replica::pings(Ping::Hangs)).await;
        let health = |start: &str| json!({ "interval": "60s", "timeout": "60s", "start": start });

        let proxy = world.proxy_with(json!({ "health": health("down") })).await;
        proxy.is_in_state(&mute, "starting").await;
        proxy.connect().await.is_refused().await;
        assert_eq!(proxy.ping().await.0, 503);
        drop(proxy);

        let proxy = world.proxy_with(json!({ "health": health("up") })).await;
        proxy.is_in_state(&mute, "starting").await;
        proxy.connect().await.answered_by(&mute).await;
        assert_eq!(proxy.ping().await.0, 200);
    }
);

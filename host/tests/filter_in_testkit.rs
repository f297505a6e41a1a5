//! This project's own filter, its real `.wasm`, in the testkit's world.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use dtr_lb::FILTER;
use proxy_wasm_testkit::{
    Builder, Client, Cluster, Peer, Status, TestKit, accepts, answers, breaks_off, cas_lost,
    first_of, hangs, json, millis, next_call, refuses, resets, returns, secs, trap_in,
};
use serde_json::Value;

const REPLICAS: [&str; 3] = ["r1", "r2", "r3"];
const STEERED: &str = "envoy.tcp_proxy.cluster";

fn configuration() -> Value {
    let replica =
        |name| json!({"name": name, "weight": 1, "backup": false, "max_connections": null});
    json!({
        "fqdn": "dtr.example.com",
        "policy": "round-robin",
        "when_all_down": "refuse",
        "on_down": "keep",
        "min_healthy": 1,
        "slow_start_ms": 0,
        "passive": {"fails": 1, "window_ms": 10_000, "hold_ms": 5000},
        "replicas": REPLICAS.map(replica),
        "listeners": [{"port": 443, "checks": ["ping"]}],
        "runners_up": 2,
        "checks": [{"name": "ping", "kind": {
            "kind": "http", "scheme": "https", "path": "/_ping", "statuses": [[200, 200]],
            "headers": [], "body": {"pointer": "/Healthy", "healthy": true},
        }}],
        "health": {
            "interval_ms": 2000, "fast_interval_ms": 1000, "down_interval_ms": 2000,
            "timeout_ms": 1000, "rise": 2, "fall": 3, "jitter": 0.1, "start": "down",
        },
        "admin": {"token": null, "loopback": true},
    })
}

/// Three replicas with everything a plan has for them.
fn world(configuration: &Value) -> Builder {
    let mut kit = TestKit::load(FILTER)
        .vm_id("dtr-lb")
        // As the bootstrap has it: orders come in a body.
        .allow_on_headers_stop_iteration(true)
        .plugin_of("dtr-lb/443", configuration.clone())
        .plugin_of("dtr-lb-admin", configuration.clone())
        .cluster("443", first_of(REPLICAS.map(|name| format!("443/{name}"))));
    for name in REPLICAS {
        kit = kit
            .cluster(format!("443/{name}"), traffic(name, accepts()))
            .cluster(format!("ping/{name}"), well());
        for other in REPLICAS {
            let rest = REPLICAS
                .iter()
                .filter(|rest| **rest != name && **rest != other);
            let both = [name, other];
            let all = both.into_iter().chain(rest.copied());
            let both = first_of(both.map(|name| format!("443/{name}")));
            let all = first_of(all.map(|name| format!("443/{name}")));
            kit = kit
                .cluster(format!("443/{name}>{other}"), both)
                .cluster(format!("443/{name}>{other}>*"), all);
        }
    }
    kit
}

fn traffic(name: &str, behaviour: Cluster) -> Cluster {
    behaviour.metadata(json!({"dtr": {"name": name}}))
}

fn well() -> Cluster {
    answers(200, r#"{"Error":"","Healthy":true}"#).after(millis(5))
}

fn sick() -> Cluster {
    answers(503, r#"{"Error":"rethinkdb: no primary","Healthy":false}"#).after(millis(5))
}

fn connect(kit: &mut TestKit) -> Client {
    kit.tcp().root_id("dtr-lb/443").cluster("443").connect()
}

/// How many of `count` connections each replica gets.
fn shares(kit: &mut TestKit, count: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        let mut client = connect(kit);
        let replica = client.upstream().cluster().to_owned();
        client.close();
        *shares.entry(replica).or_default() += 1;
    }
    shares
}

fn status(kit: &mut TestKit) -> Value {
    let exchange = kit.http().root_id("dtr-lb-admin").get("/status").send();
    assert_eq!(exchange.status(), Some(200));
    serde_json::from_slice(&exchange.body()).unwrap()
}

/// The state of each replica.
fn states(kit: &mut TestKit) -> Vec<String> {
    let status = status(kit);
    let replicas = status["replicas"].as_array().unwrap().iter();
    replicas
        .map(|replica| replica["state"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn healthy_replicas_share_the_connections() {
    let mut kit = world(&configuration()).start().unwrap();
    kit.advance(secs(5));
    let mut client = connect(&mut kit);
    let route = client.filter_state(STEERED).unwrap().to_owned();
    assert!(route.starts_with("443/r") && route.contains('>'), "{route}");
    client.close();
    let shares = shares(&mut kit, 30);
    assert_eq!(
        shares.values().copied().collect::<Vec<_>>(),
        [10, 10, 10],
        "{shares:?}"
    );
    kit.assert_no_leaks();
}

#[test]
fn probes_ask_what_the_configuration_says() {
    let mut kit = world(&configuration()).start().unwrap();
    kit.advance(secs(10));
    let probes = kit.requests_to("ping/r2");
    let probe = &probes[0];
    assert_eq!(
        (
            probe.method.as_str(),
            probe.path.as_str(),
            probe.authority.as_str()
        ),
        ("GET", "/_ping", "dtr.example.com")
    );
    // Two while it comes in, then one every two seconds or so.
    assert!(
        (4..=8).contains(&probes.len()),
        "{} probes in 10 s",
        probes.len()
    );
}

#[test]
fn whatever_is_wrong_takes_a_replica_out_and_it_comes_back() {
    let cases = [
        ("503", sick()),
        ("refused", refuses()),
        ("reset", resets()),
        ("broken off", breaks_off()),
        ("hanging", hangs()),
        (
            "too slow",
            answers(200, r#"{"Healthy":true}"#).after(secs(2)),
        ),
        (
            "a body that reports unhealthy",
            answers(200, r#"{"Healthy":false}"#),
        ),
    ];
    for (why, ping) in cases {
        let mut kit = world(&configuration()).start().unwrap();
        kit.advance(secs(5));
        kit.cluster("ping/r2", ping);
        kit.advance(secs(10));
        assert_eq!(
            states(&mut kit),
            ["healthy", "unhealthy", "healthy"],
            "{why}"
        );
        let got = shares(&mut kit, 10);
        assert_eq!(got.get("443/r2"), None, "{why}: {got:?}");
        kit.cluster("ping/r2", well());
        kit.advance(secs(10));
        assert_eq!(states(&mut kit), ["healthy"; 3], "{why}");
        assert_eq!(shares(&mut kit, 9).get("443/r2"), Some(&3), "{why}");
    }
}

#[test]
fn one_bad_answer_changes_nothing() {
    let mut kit = world(&configuration()).start().unwrap();
    kit.advance(secs(5));
    kit.fault(next_call(refuses()));
    kit.advance(secs(10));
    assert_eq!(states(&mut kit), ["healthy"; 3]);
}

#[test]
fn a_sick_replicas_words_are_shown() {
    let mut kit = world(&configuration()).start().unwrap();
    kit.cluster("ping/r3", sick());
    kit.advance(secs(10));
    let status = status(&mut kit);
    let third = &status["replicas"][2];
    assert_eq!(third["error"], "rethinkdb: no primary");
    assert_eq!(third["component"], "rethinkdb");
    assert_eq!(status["healthy"], true);
}

#[test]
fn when_all_are_down_connections_are_refused_and_ping_says_so() {
    let mut kit = world(&configuration()).start().unwrap();
    kit.advance(secs(5));
    for name in REPLICAS {
        kit.cluster(&format!("ping/{name}"), refuses());
    }
    kit.advance(secs(10));
    let client = connect(&mut kit);
    assert_eq!(
        (client.closed_by(), client.attempts()),
        (Some(Peer::Local), 0)
    );
    let ping = kit.http().root_id("dtr-lb-admin").get("/_ping").send();
    assert_eq!(ping.status(), Some(503));
    let body: Value = serde_json::from_slice(&ping.body()).unwrap();
    assert_eq!(body["Healthy"], false);
}

#[test]
fn a_connect_failure_goes_to_the_runner_up_and_holds_the_replica_back() {
    let mut kit = world(&configuration()).start().unwrap();
    kit.advance(secs(5));
    kit.cluster("443/r1", traffic("r1", refuses()));
    for _ in 0..6 {
        let mut client = connect(&mut kit);
        client.send("hello");
        assert!(client.is_connected(), "no client sees the failure");
        kit.advance(millis(600));
        client.close();
    }
    assert_eq!(states(&mut kit)[0], "held");
    let mut client = connect(&mut kit);
    assert_eq!(client.attempts(), 1, "it is not tried again at once");
    assert!(!client.filter_state(STEERED).unwrap().starts_with("443/r1"));
}

#[test]
fn one_worker_probes_and_all_know() {
    let mut kit = world(&configuration()).workers(3).start().unwrap();
    kit.cluster("ping/r1", sick());
    kit.advance(secs(10));
    let probes = kit.requests_to("ping/r2").len();
    assert!(
        probes <= 8,
        "{probes} probes in 10 s: more than one worker asks"
    );
    for worker in 0..3 {
        for _ in 0..4 {
            let client = kit.tcp().on_worker(worker).root_id("dtr-lb/443");
            let mut client = client.cluster("443").connect();
            assert_ne!(client.upstream().cluster(), "443/r1", "worker {worker}");
        }
    }
}

#[test]
fn when_the_prober_dies_another_goes_on() {
    let mut kit = world(&configuration()).workers(2).start().unwrap();
    kit.advance(secs(5));
    // The worker that makes the next call is the prober.
    let before = kit.transcript().hostcalls("proxy_http_call").count();
    assert!(before > 0);
    kit.fault(trap_in("proxy_on_http_call_response"));
    kit.advance(secs(4));
    assert_eq!(kit.traps().len(), 1);
    kit.cluster("ping/r2", sick());
    kit.advance(secs(12));
    assert!(kit.is_alive());
    assert_eq!(states(&mut kit), ["healthy", "unhealthy", "healthy"]);
}

/// The statuses that hosts really return; the SDK panics on any other.
#[test]
fn no_refusal_of_a_host_makes_it_trap() {
    const NOT_FOUND: u32 = 1;
    const BAD_ARGUMENT: u32 = 2;
    const SERIALIZATION_FAILURE: u32 = 3;
    const CAS_MISMATCH: u32 = 8;
    const INTERNAL_FAILURE: u32 = 10;
    let refusals: [(&str, &[u32]); 8] = [
        ("proxy_get_buffer_bytes", &[NOT_FOUND]),
        ("proxy_get_header_map_value", &[NOT_FOUND]),
        (
            "proxy_get_property",
            &[NOT_FOUND, SERIALIZATION_FAILURE, INTERNAL_FAILURE],
        ),
        ("proxy_get_shared_data", &[NOT_FOUND]),
        ("proxy_set_shared_data", &[CAS_MISMATCH]),
        ("proxy_http_call", &[BAD_ARGUMENT, INTERNAL_FAILURE]),
        ("proxy_record_metric", &[NOT_FOUND]),
        (
            "proxy_call_foreign_function",
            &[
                NOT_FOUND,
                BAD_ARGUMENT,
                SERIALIZATION_FAILURE,
                INTERNAL_FAILURE,
            ],
        ),
    ];
    for (function, statuses) in refusals {
        let mut kit = world(&configuration()).start().unwrap();
        for status in statuses {
            kit.fault(returns(function, Status(*status)).times(20));
            kit.advance(secs(3));
            let mut client = connect(&mut kit);
            client.send("hello");
            client.close();
            kit.http().root_id("dtr-lb-admin").get("/status").send();
            assert!(kit.is_alive(), "{function} -> {status}");
            kit.clear_faults();
        }
        kit.advance(secs(30));
        assert_eq!(states(&mut kit), ["healthy"; 3], "{function}: it recovers");
        assert_eq!(shares(&mut kit, 9).len(), 3, "{function}");
    }
}

#[test]
fn lost_swaps_are_tried_again() {
    let mut kit = world(&configuration()).start().unwrap();
    kit.fault(cas_lost().times(10));
    kit.advance(secs(10));
    assert_eq!(states(&mut kit), ["healthy"; 3]);
}

#[test]
fn connections_and_probes_do_not_grow_it() {
    let mut kit = world(&configuration()).start().unwrap();
    let growth = kit.growth_per_round(300, |kit| {
        let mut client = connect(kit);
        client.send("hello");
        client.close();
        kit.advance(millis(100));
    });
    assert_eq!(growth, 0);
    kit.shut_down();
    kit.assert_no_leaks();
}

#[test]
fn an_order_holds_on_every_worker_at_once() {
    let mut kit = world(&configuration()).workers(2).start().unwrap();
    kit.advance(secs(5));
    let order = |kit: &mut TestKit, state: &str| {
        let request = kit.http().root_id("dtr-lb-admin").method("PUT");
        let request = request.path("/replicas/r2").authority("127.0.0.1:8181");
        let request = request.header("content-type", "application/json");
        let exchange = request.send_body(format!(r#"{{"state":"{state}"}}"#));
        assert_eq!(exchange.status(), Some(200), "{:?}", exchange.body());
    };
    let shares = |kit: &mut TestKit| {
        let mut count = 0;
        for worker in [0, 1, 0, 1, 0, 1] {
            let client = kit.tcp().on_worker(worker).root_id("dtr-lb/443");
            let mut client = client.cluster("443").connect();
            count += usize::from(client.upstream().cluster() == "443/r2");
            client.close();
        }
        count
    };
    order(&mut kit, "drain");
    assert_eq!(shares(&mut kit), 0);
    assert_eq!(states(&mut kit)[1], "drain");
    order(&mut kit, "ready");
    assert_eq!(shares(&mut kit), 2);
}

#[test]
fn a_connection_is_balanced_by_the_configuration_of_its_own_root() {
    // As when a configuration is taken back while connections of its root are open: the
    // root is used again and is not configured again.
    let before = configuration();
    let mut after = before.clone();
    after["replicas"].as_array_mut().unwrap().truncate(1);
    // No root id of ours: the configuration names the port.
    after["port"] = json!(443);
    let mut kit = world(&before).plugin_of("after", after).start().unwrap();
    kit.advance(secs(5));
    let of_root = |kit: &mut TestKit, root: &str| -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for _ in 0..6 {
            let mut client = kit.tcp().root_id(root).cluster("443").connect();
            *shares
                .entry(client.upstream().cluster().to_owned())
                .or_default() += 1;
            client.close();
        }
        shares
    };
    let only = BTreeMap::from([("443/r1".to_owned(), 6)]);
    assert_eq!(of_root(&mut kit, "after"), only);
    of_root(&mut kit, "dtr-lb/443");
    // The others are probed again.
    kit.advance(secs(5));
    let back = of_root(&mut kit, "dtr-lb/443");
    assert_eq!(back.len(), 3, "all three are there again: {back:?}");
    assert_eq!(of_root(&mut kit, "after"), only);
}

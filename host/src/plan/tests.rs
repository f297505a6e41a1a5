//! What configurations expand to.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::time::Duration;

use dtr_lb_filter::config as filter;

use super::*;
use crate::config::{Config, ConfigFile};

fn plan(replicas: usize, rest: &str) -> Plan {
    let replicas: Vec<String> = (1..=replicas)
        .map(|number| format!(r#"{{"address": "10.0.0.{number}"}}"#))
        .collect();
    let text = format!(
        r#"{{"fqdn": "dtr.example.com", "replicas": [{}] {rest}}}"#,
        replicas.join(",")
    );
    Plan::of(&Config::parse(&text, "lb.json").unwrap())
}

fn route<'a>(plan: &'a Plan, name: &str) -> &'a Route {
    let found = plan.routes.iter().find(|route| route.name == name);
    found.unwrap_or_else(|| panic!("no route {name} among {:?}", plan.routes))
}

#[test]
fn each_replica_has_a_cluster_for_each_port_and_check() {
    let plan = plan(2, "");
    let names: Vec<&str> = plan.clusters.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        names,
        ["80/r1", "80/r2", "443/r1", "443/r2", "ping/r1", "ping/r2"]
    );
    assert_eq!(plan.clusters[2].port, 443);
    assert_eq!(plan.clusters[2].tls, None, "traffic is never touched");
    assert_eq!(plan.clusters[5].tls, Some(Verify::System));
    assert_eq!(plan.clusters[5].host, Address::Ip([10, 0, 0, 2].into()));
    assert_eq!(plan.pools[1].clusters, ["443/r1", "443/r2"]);
    assert_eq!(plan.listeners[1].fallback, "443");
}

#[test]
fn up_to_five_replicas_every_ordered_pair_has_a_route_over_all() {
    let plan = plan(3, "");
    assert_eq!(
        plan.routes.len(),
        2 * 3 * 2 * 2,
        "two ports, three replicas, two others each, ending there or going on"
    );
    let going_on = route(&plan, "443/r3>r2>*");
    assert_eq!(going_on.clusters, ["443/r3", "443/r2", "443/r1"]);
    assert_eq!(going_on.then, None);
    let ending = route(&plan, "443/r3>r2");
    assert_eq!(ending.clusters, ["443/r3", "443/r2"]);
    assert_eq!(ending.then, None);
    assert_eq!(
        plan.balancer.as_ref().unwrap().configuration["runners_up"],
        2
    );
}

#[test]
fn a_probe_that_is_not_connected_is_over_before_its_time() {
    let plan = plan(2, r#", "health": { "interval": "2s", "timeout": "1s" }"#);
    let probe = &plan.clusters[5];
    assert_eq!(probe.name, "ping/r2");
    assert_eq!(probe.connect_timeout, Duration::from_millis(900));
    assert_eq!(plan.clusters[0].connect_timeout, Duration::from_secs(1));
}

#[test]
fn one_replica_has_no_runner_up() {
    let plan = plan(1, "");
    assert!(plan.routes.is_empty());
    assert_eq!(
        plan.balancer.as_ref().unwrap().configuration["runners_up"],
        0
    );
}

#[test]
fn above_five_replicas_each_has_the_three_that_follow_in_the_ring() {
    let plan = plan(6, "");
    assert_eq!(plan.routes.len(), 2 * 6 * 3 * 2);
    let going_on = route(&plan, "443/r5>r6>*");
    assert_eq!(going_on.clusters, ["443/r5", "443/r6"]);
    assert_eq!(going_on.then.as_deref(), Some("443"));
    assert_eq!(route(&plan, "443/r5>r2").then, None);
    assert_eq!(
        plan.balancer.as_ref().unwrap().configuration["runners_up"],
        3
    );
    assert!(plan.routes.iter().all(|one| one.name != "443/r5>r3"));
}

#[test]
fn a_replica_is_reached_and_probed_on_its_own_ports() {
    let text = r#"{ "fqdn": "dtr.example.com",
        "replicas": [{ "address": "10.0.0.1", "ports": { "443": 8443, "9000": 19000 } }],
        "listeners": [{ "bind": "[::1]:0", "port": 443 }],
        "health": { "target": "http:9000/_ping" } }"#;
    let plan = Plan::of(&Config::parse(text, "lb.json").unwrap());
    let ports: Vec<(&str, u16)> = plan
        .clusters
        .iter()
        .map(|one| (one.name.as_str(), one.port))
        .collect();
    assert_eq!(ports, [("443/r1", 8443), ("ping/r1", 19000)]);
}

#[test]
fn the_filter_reads_back_what_it_is_given() {
    let plan = plan(
        3,
        r#", "min_healthy": 2, "admin": { "bind": "[::1]:8181" }"#,
    );
    let filter: filter::Config =
        serde_json::from_value(plan.balancer.as_ref().unwrap().configuration.clone()).unwrap();
    assert_eq!(filter.min_healthy, 2);
    assert_eq!(filter.health.interval_ms, 2000);
    assert_eq!(filter.replicas.len(), 3);
    assert!(filter.admin.loopback);
    let checks: Vec<&str> = filter.checks.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(checks, ["ping"]);
    assert_eq!(filter.listeners[0].checks, ["ping"]);
}

#[test]
fn two_addresses_of_one_port_share_its_clusters() {
    let listeners =
        r#", "listeners": [{"bind": "0.0.0.0:443"}, {"bind": "127.0.0.1:0", "port": 443}]"#;
    let plan = plan(2, listeners);
    assert_eq!(plan.listeners.len(), 2);
    assert_eq!(plan.pools.len(), 1);
    let listeners = plan.balancer.as_ref().unwrap().configuration["listeners"]
        .as_array()
        .unwrap();
    assert_eq!(listeners.len(), 1, "{listeners:?}");
}

#[test]
fn a_chains_cluster_of_several_endpoints_is_a_pool_of_as_many_clusters() {
    let text = r#"{
        "listeners": [{ "bind": "127.0.0.1:8443", "cluster": "web", "max_connections": 5 }],
        "clusters": [
            { "name": "web", "endpoints": ["10.0.0.11:443", "web2.internal:8443"] },
            { "name": "auth", "endpoints": ["[::1]:9000"], "protocol": "http2" }],
        "idle_timeout": "5m", "half_close_timeout": "9m", "resend_first_flight": false,
        "max_connections": 7, "drain_delay": "3s" }"#;
    let plan = Plan::of_file(&ConfigFile::parse(text, "chain.json").unwrap());
    let clusters: Vec<_> = plan
        .clusters
        .iter()
        .map(|one| (one.name.as_str(), one.part_of.as_deref(), one.port))
        .collect();
    assert_eq!(
        clusters,
        [
            ("web[0]", Some("web"), 443),
            ("web[1]", Some("web"), 8443),
            ("auth", None, 9000)
        ]
    );
    assert_eq!(
        plan.clusters[1].host,
        Address::Name("web2.internal".to_owned())
    );
    assert_eq!(plan.clusters[2].protocol, Protocol::Http2);
    assert_eq!(plan.pools.len(), 1);
    assert_eq!(plan.pools[0].clusters, ["web[0]", "web[1]"]);
    let listener = &plan.listeners[0];
    assert_eq!((listener.port, listener.fallback.as_str()), (8443, "web"));
    assert_eq!(listener.idle_timeout, Some(Duration::from_secs(300)));
    assert!(!listener.resend_first_flight);
    assert_eq!(listener.half_close_timeout, Duration::from_secs(540));
    assert_eq!(
        (plan.max_connections, listener.max_connections),
        (Some(7), Some(5))
    );
    assert_eq!(plan.drain_delay, Duration::from_secs(3));
    assert!(plan.balancer.is_none() && plan.routes.is_empty());
}

#[test]
fn services_have_their_own_clusters_behind_the_same_listeners() {
    let text = r#"{"services": [
        {"name": "dtr", "fqdn": "dtr.example.com", "replicas": [{"address": "10.0.0.1"}, {"address": "10.0.0.2"}]},
        {"name": "quay", "fqdn": "quay.example.com", "names": ["*.quay.example.com"],
         "replicas": [{"address": "10.0.1.1"}]}],
        "default": "quay", "listeners": [{"bind": "0.0.0.0:443"}],
        "admin": {"bind": "127.0.0.1:8181", "token": "12345678"}}"#;
    let mut plan = Plan::of_file(&ConfigFile::parse(text, "lb.json").unwrap());

    let clusters: Vec<&str> = plan.clusters.iter().map(|one| one.name.as_str()).collect();
    let expected = ["443/dtr/r1", "443/dtr/r2", "ping/dtr/r1", "ping/dtr/r2"];
    assert_eq!(clusters[..4], expected);
    assert_eq!(clusters[4..], ["443/quay/r1", "ping/quay/r1"]);
    assert_eq!(
        route(&plan, "443/dtr/r1>dtr/r2").clusters,
        ["443/dtr/r1", "443/dtr/r2"]
    );
    let pools: Vec<&str> = plan.pools.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(pools, ["443/dtr", "443/quay", "443"]);
    assert_eq!(plan.pools[2].clusters, ["443/quay/r1"], "the default's");
    assert_eq!(plan.listeners.len(), 1);
    assert_eq!(plan.listeners[0].fallback, "443");
    assert_eq!(plan.listeners[0].service_fallbacks, ["443/dtr", "443/quay"]);
    let services = plan.services.as_ref().unwrap();
    assert_eq!(services.by_name.find("a.quay.example.com"), Some(&1));
    assert_eq!(services.by_name.find("dtr.example.com"), Some(&0));
    assert_eq!(
        (services.by_name.find("x.example"), services.default),
        (None, 1)
    );

    assert!(plan.has_token());
    plan.show_limit(7);
    let configuration = plan.balancer.unwrap().configuration.to_string();
    let parsed = filter::PluginConfig::parse(configuration.as_bytes()).unwrap();
    let filter::PluginConfig::Several(several) = parsed else {
        panic!("{configuration}");
    };
    assert_eq!(
        (several.default.as_str(), several.hello_timeout_ms),
        ("quay", 10_000)
    );
    let limits = several.services.iter().map(|one| one.max_connections);
    assert_eq!(limits.collect::<Vec<_>>(), [Some(7), Some(7)]);
    let names = several.services.iter().map(|one| one.service_name());
    assert_eq!(names.collect::<Vec<_>>(), [Some("dtr"), Some("quay")]);
}

#[test]
fn the_proxy_protocol_of_a_port_is_that_of_its_clusters_and_of_probes_that_go_there() {
    let rest = r#", "listeners": [
            { "bind": "0.0.0.0:443", "proxy_protocol": "v2" }, { "bind": "0.0.0.0:80" }]"#;
    let expecting = |more: &str| {
        let plan = plan(1, &format!("{rest}{more}"));
        let clusters = plan.clusters.iter();
        let expecting = clusters.filter(|one| one.proxy_protocol == Some(ProxyProtocol::V2));
        expecting.map(|one| one.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(expecting(""), ["443/r1", "ping/r1"]);
    let health = |target: &str| format!(r#", "health": {{ "target": "{target}" }}"#);
    assert_eq!(expecting(&health("http:80/_ping")), ["443/r1"]);
    assert_eq!(
        expecting(&health("https:9443/_ping")),
        ["443/r1"],
        "no listener leads there"
    );
}

#[test]
fn the_filter_is_given_rules_for_clients_only_where_there_are_some() {
    let rules = |rest: &str| {
        let plan = plan(1, rest);
        plan.balancer.unwrap().configuration["clients"].clone()
    };
    assert_eq!(rules(""), serde_json::Value::Null);
    let limit = rules(r#", "per_client_max_connections": 9, "deny": ["10.0.0.0/8"]"#);
    assert_eq!(limit["max_connections"], 9);
    assert_eq!(limit["deny"][0], "10.0.0.0/8");
    let proxies = rules(r#", "accept_proxy_from": ["192.0.2.7"]"#);
    assert_eq!(proxies["trusted_proxies"][0], "192.0.2.7/32");
}

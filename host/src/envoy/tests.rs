#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use super::yaml::Node;
use super::*;
use crate::config::Config;
use crate::plan::Plan;

/// The three replicas of `envoy/envoy.yaml`.
fn three() -> Plan {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../envoy/dtr-lb.json");
    Plan::of(&Config::load(std::path::Path::new(file)).unwrap())
}

fn cluster<'a>(bootstrap: &'a Node, name: &str) -> &'a Node {
    let clusters = bootstrap["static_resources"]["clusters"]
        .as_sequence()
        .unwrap();
    let found = clusters.iter().find(|one| one["name"] == *name);
    found.unwrap_or_else(|| panic!("no cluster {name}"))
}

#[test]
fn the_example_is_what_the_writer_writes() {
    let options = BootstrapOptions::with_wasm("/etc/dtr-lb/dtr_lb_filter.wasm");
    let written = bootstrap(&three(), &options);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../envoy/envoy.yaml");
    let kept = std::fs::read_to_string(example).unwrap_or_default();
    assert!(
        written == kept,
        "envoy/envoy.yaml is not what `dtr-lb envoy` writes now; run `just envoy` and look at the difference"
    );
}

#[test]
fn the_example_for_kubernetes_is_what_the_writer_writes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../envoy/");
    let read = |name| std::fs::read_to_string(format!("{folder}{name}")).unwrap_or_default();
    let options = KubernetesOptions {
        configuration: read("dtr-lb.json"),
        image: concat!("dtr-lb:", env!("CARGO_PKG_VERSION")).to_owned(),
        envoy_image: "envoyproxy/envoy:v1.40.0".to_owned(),
    };
    assert!(
        kubernetes(&three(), &options) == read("kubernetes.yaml"),
        "envoy/kubernetes.yaml is not what `dtr-lb envoy --kubernetes` writes now; run \
         `just envoy` and look at the difference"
    );
}

#[test]
fn every_cluster_named_anywhere_exists_once() {
    let plan = three();
    let yaml = bootstrap(&plan, &BootstrapOptions::with_wasm("/filter.wasm"));
    let bootstrap: Node = yaml_serde::from_str(&yaml).unwrap();
    let clusters = bootstrap["static_resources"]["clusters"]
        .as_sequence()
        .unwrap();
    let mut names: Vec<&str> = clusters
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    let aggregated = clusters.iter().flat_map(|one| {
        let list = &one["cluster_type"]["typed_config"]["clusters"];
        list.as_sequence().into_iter().flatten()
    });
    for name in aggregated {
        assert!(names.contains(&name.as_str().unwrap()), "{name:?}");
    }
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "two clusters of one name: {names:?}");
}

#[test]
fn a_replica_with_a_dns_name_is_resolved_again_and_others_are_not() {
    let text = r#"{ "fqdn": "dtr.example.com", "dns_refresh": "1500ms",
        "replicas": [{ "address": "dtr1.internal" }, { "address": "10.0.0.2" }] }"#;
    let plan = Plan::of(&Config::parse(text, "lb.json").unwrap());
    let yaml = bootstrap(&plan, &BootstrapOptions::with_wasm("/filter.wasm"));
    let bootstrap: Node = yaml_serde::from_str(&yaml).unwrap();
    let named = cluster(&bootstrap, "443/r1");
    assert_eq!(named["cluster_type"]["name"], *"envoy.clusters.dns");
    let dns = &named["cluster_type"]["typed_config"];
    assert_eq!(dns["dns_refresh_rate"], *"1.500s");
    assert_eq!(
        bootstrap["typed_dns_resolver_config"]["name"], *"envoy.network.dns_resolver.getaddrinfo",
        "with c-ares a name that is gone for a moment empties the cluster"
    );
    assert_eq!(cluster(&bootstrap, "443/r2")["type"], *"STATIC");
}

#[test]
fn clients_are_limited_to_what_there_are_files_for() {
    let limits = |fields: &str| {
        let text = format!(
            r#"{{ "fqdn": "dtr.example.com", "replicas": [{{ "address": "10.0.0.1" }}],
            "admin": {{ "bind": "127.0.0.1:8181" }}, {fields}
            "listeners": [{{ "bind": "127.0.0.1:443", "max_connections": 30 }}] }}"#
        );
        let plan = Plan::of(&Config::parse(&text, "lb.json").unwrap());
        let yaml = bootstrap(&plan, &BootstrapOptions::with_wasm("/filter.wasm"));
        let line = yaml.lines().find(|line| line.contains("LimitNOFILE"));
        let line = line.unwrap().to_owned();
        let bootstrap: Node = yaml_serde::from_str(&yaml).unwrap();
        (line, bootstrap)
    };
    let monitor = |bootstrap: &Node| {
        let monitor = &bootstrap["overload_manager"]["resource_monitors"][0];
        monitor["typed_config"]["max_active_downstream_connections"].as_u64()
    };
    let (line, given) = limits(r#""max_connections": 400,"#);
    assert_eq!(monitor(&given), Some(400));
    assert!(line.ends_with("LimitNOFILE=1312 or more."), "{line}");
    let (line, default) = limits("");
    assert_eq!(monitor(&default), Some(10_000));
    assert!(line.ends_with("LimitNOFILE=20512 or more."), "{line}");

    let listeners = &given["static_resources"]["listeners"];
    for (number, name, most) in [(0, "traffic-443-127.0.0.1:443", 30), (1, "admin", 64)] {
        assert_eq!(listeners[number]["name"], *name);
        let key = format!("envoy.resource_limits.listener.{name}.connection_limit");
        let runtime = &given["layered_runtime"]["layers"][0]["static_layer"];
        assert_eq!(runtime[key.as_str()].as_u64(), Some(most), "{name}");
    }
    assert_eq!(listeners[1]["ignore_global_conn_limit"], true);
}

#[test]
fn only_probes_use_tls_and_only_when_verified_against_something() {
    let text = r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.1" }],
        "health": { "verify": "none" } }"#;
    let plan = Plan::of(&Config::parse(text, "lb.json").unwrap());
    let yaml = bootstrap(&plan, &BootstrapOptions::with_wasm("/filter.wasm"));
    let bootstrap: Node = yaml_serde::from_str(&yaml).unwrap();
    assert!(cluster(&bootstrap, "443/r1")["transport_socket"].is_null());
    let tls = &cluster(&bootstrap, "ping/r1")["transport_socket"]["typed_config"];
    assert!(
        tls["common_tls_context"]["validation_context"].is_null(),
        "{tls:?}"
    );
    let probe = cluster(&bootstrap, "ping/r1");
    assert!(probe["outlier_detection"].is_null());
    let http = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let upstream =
        &probe["typed_extension_protocol_options"][http]["upstream_http_protocol_options"];
    assert_eq!(
        upstream["auto_san_validation"], false,
        "the name would be checked all the same"
    );
    assert_eq!(upstream["auto_sni"], true);
}

#[test]
fn the_filter_gets_its_configuration_unchanged() {
    let plan = three();
    let yaml = bootstrap(&plan, &BootstrapOptions::with_wasm("/filter.wasm"));
    let bootstrap: Node = yaml_serde::from_str(&yaml).unwrap();
    let listener = &bootstrap["static_resources"]["listeners"][0];
    let wasm = &listener["filter_chains"][0]["filters"][0]["typed_config"]["config"];
    let value = wasm["configuration"]["value"].as_str().unwrap();
    let value: serde_json::Value = serde_json::from_str(value).unwrap();
    assert_eq!(value, plan.balancer.as_ref().unwrap().configuration);
    assert_eq!(wasm["root_id"], *"dtr-lb/80", "by which it knows its port");
}

#[test]
fn the_longer_an_attempt_may_take_the_fewer_there_are() {
    for (connect_timeout, expected) in [("100ms", 20), ("1s", 20), ("3s", 10), ("60s", 6)] {
        let text = format!(
            r#"{{ "fqdn": "dtr.example.com", "replicas": [{{ "address": "10.0.0.1" }}],
            "connect_timeout": "{connect_timeout}" }}"#
        );
        let plan = Plan::of(&Config::parse(&text, "lb.json").unwrap());
        let yaml = bootstrap(&plan, &BootstrapOptions::with_wasm("/filter.wasm"));
        let bootstrap: Node = yaml_serde::from_str(&yaml).unwrap();
        let filters = &bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"];
        let attempts = filters[1]["typed_config"]["max_connect_attempts"].as_u64();
        assert_eq!(attempts, Some(expected), "{connect_timeout}");
    }
}

#[test]
fn a_port_that_expects_a_proxy_header_has_a_transport_socket_that_sends_it_also_under_tls() {
    let text = r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.1" }],
        "listeners": [{ "bind": "0.0.0.0:443", "proxy_protocol": "v1" }, { "bind": "0.0.0.0:80" }],
        "accept_proxy_from": ["10.9.0.0/16"], "proxy_protocol_timeout": "2s" }"#;
    let plan = Plan::of(&Config::parse(text, "lb.json").unwrap());
    let yaml = bootstrap(&plan, &BootstrapOptions::with_wasm("/filter.wasm"));
    let bootstrap: Node = yaml_serde::from_str(&yaml).unwrap();
    for (name, inner) in [
        ("443", "envoy.transport_sockets.raw_buffer"),
        ("443/r1", "envoy.transport_sockets.raw_buffer"),
        ("ping/r1", "envoy.transport_sockets.tls"),
    ] {
        let socket = &cluster(&bootstrap, name)["transport_socket"]["typed_config"];
        assert_eq!(socket["config"]["version"], "V1", "{name}");
        assert_eq!(socket["transport_socket"]["name"], inner, "{name}");
    }
    assert!(cluster(&bootstrap, "80/r1")["transport_socket"].is_null());
    let listener = &bootstrap["static_resources"]["listeners"][0];
    let first = "envoy.filters.listener.proxy_protocol";
    assert_eq!(listener["listener_filters"][0]["name"], first);
    assert_eq!(listener["listener_filters_timeout"], "2s");
    let filters = &listener["filter_chains"][0]["filters"];
    assert_eq!(filters[0]["name"], "envoy.filters.network.set_filter_state");
}

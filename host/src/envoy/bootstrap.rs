//! The whole bootstrap.

use dtr_lb_filter::contract::metric_name::tags;

use super::discovery::{CLUSTERS_FILE, LISTENERS_FILE};
use super::options::BootstrapOptions;
use super::overload;
use super::resources::{clusters, listeners};
use super::yaml::{Node, path_config_source, socket_address, yaml};
use crate::plan::Plan;

/// Writes the plan as YAML that Envoy 1.40 starts with. Where Envoy is to watch files, the
/// listeners and clusters are in those, see [`Folder`](super::Folder).
#[must_use]
pub fn bootstrap(plan: &Plan, options: &BootstrapOptions) -> String {
    let (fixed, dynamic) = match &options.watched {
        None => (
            yaml!({
                "listeners": (listeners(plan, options)),
                "clusters": (clusters(plan, options)),
            }),
            Node::Null,
        ),
        Some(folder) => (
            Node::Null,
            yaml!({
                "cds_config": (path_config_source(folder, CLUSTERS_FILE)),
                "lds_config": (path_config_source(folder, LISTENERS_FILE)),
            }),
        ),
    };
    let bootstrap = yaml!({
        "node": { "id": "dtr-lb", "cluster": "dtr-lb" },
        "admin": { "address": (socket_address(options.envoy_admin)) },
        "layered_runtime": {
            "layers": [{
                "name": "dtr-lb",
                "static_layer": (runtime(plan)),
            }],
        },
        "typed_dns_resolver_config": (resolver()),
        "overload_manager": (overload::manager(plan)),
        "stats_config": { "stats_tags": (stats_tags()) },
        // Most routes are never taken: a worker has a cluster once it takes it, and
        // Envoy its statistics.
        "cluster_manager": { "enable_deferred_cluster_creation": true },
        "deferred_stat_options": { "enable_deferred_creation_stats": true },
        "dynamic_resources": (dynamic),
        "static_resources": (fixed),
    });
    // Maps, lists, texts and numbers: nothing in it can fail to become YAML.
    let yaml = yaml_serde::to_string(&bootstrap).unwrap_or_default();
    format!("{}{yaml}", header(plan))
}

fn runtime(plan: &Plan) -> Node {
    // Without it Envoy 1.38.1 and later keep to themselves why a probe failed, and an
    // untrusted certificate looks like a refused connection. Nobody but the filter
    // reads those replies: Envoy's only HTTP listener is the filter's own.
    let hide = "envoy.reloadable_features.hide_transport_failure_reason_in_response_body";
    let limits = overload::listener_limits(plan);
    let limits = limits.map(|(key, most)| (Node::from(key), Node::from(most)));
    let flags = [(Node::from(hide), Node::from(false))];
    Node::Mapping(flags.into_iter().chain(limits).collect())
}

/// Which parts of the filter's metric names become labels.
fn stats_tags() -> Vec<Node> {
    tags()
        .iter()
        .map(|(name, regex)| yaml!({ "tag_name": (*name), "regex": (regex.as_str()) }))
        .collect()
}

/// The system's resolver. For Envoy's usual one, c-ares, that a name does not exist is
/// as good an answer as any, and empties the cluster.
fn resolver() -> Node {
    yaml!({
        "name": "envoy.network.dns_resolver.getaddrinfo",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig",
            // Left out it asks for ever, and Envoy does not listen before it knows.
            "num_retries": 0,
            // A name server that is silent holds up each for about ten seconds.
            "num_resolver_threads": 8,
        },
    })
}

fn header(plan: &Plan) -> String {
    let (connections, files) = (overload::connections(plan), overload::open_files(plan));
    format!(
        "\
# Written by `dtr-lb envoy`; write it again rather than edit it.
# envoy -c envoy.yaml --drain-time-s 600
# At most {connections} clients at once, by max_connections: LimitNOFILE={files} or more.
"
    )
}

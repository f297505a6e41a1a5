//! Clusters: one endpoint each, pools of them, and routes over them.

use std::time::Duration;

use dtr_lb_filter::contract::METADATA_REPLICA;

use super::connection::keepalive;
use super::options::BootstrapOptions;
use super::proxy_protocol;
use super::tls::transport_socket;
use super::yaml::{Node, endpoint_address, extend, metadata, time, yaml};
use crate::config::{Address, Verify};
use crate::plan::{Cluster, Plan, Pool, Route};

/// A cluster of one endpoint: a replica's port, or the target of its probes.
pub(super) fn single(cluster: &Cluster, plan: &Plan, options: &BootstrapOptions) -> Node {
    let members = [cluster];
    if serves_traffic(cluster, plan) {
        return traffic(&cluster.name, &members, plan);
    }
    let tls = cluster.tls.as_ref();
    let socket = tls.map(|verify| transport_socket(verify, options));
    let socket = match cluster.proxy_protocol {
        Some(version) => Some(proxy_protocol::transport_socket(version, socket)),
        None => socket,
    };
    let extra = [
        (
            "typed_extension_protocol_options",
            one_request_a_connection(tls),
        ),
        ("transport_socket", socket.unwrap_or_default()),
    ];
    endpoints(&cluster.name, &members, plan, extra)
}

/// All replicas of one port, in turn: where tcp_proxy goes without the filter.
pub(super) fn pool(pool: &Pool, plan: &Plan) -> Node {
    let members: Vec<&Cluster> = pool
        .clusters
        .iter()
        .filter_map(|name| plan.clusters.iter().find(|one| one.name == *name))
        .collect();
    traffic(&pool.name, &members, plan)
}

/// Clusters in order of preference: the next one when the first is out.
pub(super) fn route(route: &Route) -> Node {
    let clusters: Vec<String> = route.clusters.iter().chain(&route.then).cloned().collect();
    yaml!({
        "name": (route.name.as_str()),
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig",
                "clusters": (clusters),
            },
        },
    })
}

fn serves_traffic(cluster: &Cluster, plan: &Plan) -> bool {
    plan.pools
        .iter()
        .any(|pool| pool.clusters.contains(&cluster.name))
}

fn traffic(name: &str, members: &[&Cluster], plan: &Plan) -> Node {
    // The same for all members: it is that of their port.
    let version = members.iter().find_map(|one| one.proxy_protocol);
    let socket = version.map(|version| proxy_protocol::transport_socket(version, None));
    let extra = [
        // Left out, a second change within a second reaches the workers only after
        // it: meanwhile they go on trying a replica that is ejected again.
        ("common_lb_config", yaml!({ "update_merge_window": "0s" })),
        ("outlier_detection", outlier_detection()),
        ("transport_socket", socket.unwrap_or_default()),
    ];
    endpoints(name, members, plan, extra)
}

fn endpoints<const N: usize>(
    name: &str,
    members: &[&Cluster],
    plan: &Plan,
    extra: [(&str, Node); N],
) -> Node {
    let fixed = members.iter().all(|one| matches!(one.host, Address::Ip(_)));
    let connect_timeout = members.iter().map(|one| one.connect_timeout).max();
    let endpoints = members.iter().map(|member| {
        yaml!({
            "endpoint": { "address": (endpoint_address(&member.host, member.port)) },
            "metadata": (metadata(METADATA_REPLICA, &member.replica)),
        })
    });
    let endpoints: Vec<Node> = endpoints.collect();
    let node = yaml!({
        "name": (name),
        "connect_timeout": (time(connect_timeout.unwrap_or(SECOND))),
        "upstream_connection_options": { "tcp_keepalive": (keepalive()) },
        // Envoy's own limits of 1024 would be reached before the operator's.
        "circuit_breakers": {
            "thresholds": [{
                "max_connections": (u32::MAX),
                "max_pending_requests": (u32::MAX),
                "max_requests": (u32::MAX),
                "max_retries": (u32::MAX),
            }],
        },
        "load_assignment": {
            "cluster_name": (name),
            "endpoints": [{ "lb_endpoints": (endpoints) }],
        },
        "type": (if fixed { Node::from("STATIC") } else { Node::Null }),
        "cluster_type": (if fixed { Node::Null } else { dns(plan) }),
    });
    extend(node, extra)
}

/// DNS names are resolved again while running; the last good answer is kept, since the
/// bootstrap names the resolver that takes a name that is gone for a failure.
fn dns(plan: &Plan) -> Node {
    yaml!({
        "name": "envoy.clusters.dns",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
            "dns_refresh_rate": (time(plan.dns_refresh)),
            "dns_lookup_family": "V4_PREFERRED",
        },
    })
}

/// A connect failure takes the endpoint out at once, so that the next attempt of
/// the same connection goes on to the next cluster of its route. Envoy's panic
/// threshold stays as it is: when all endpoints of a route are out, they are tried
/// all the same, and a blip of all replicas lasts no longer than the blip.
fn outlier_detection() -> Node {
    yaml!({
        "split_external_local_origin_errors": true,
        "consecutive_local_origin_failure": 1,
        "enforcing_consecutive_local_origin_failure": 100,
        "max_ejection_percent": 100,
        // Long enough for the retry, no longer: which replica is out, and for how
        // long, the filter decides. A replica that is up again but still ejected is
        // what the next one that restarts would need.
        "interval": "0.1s",
        "base_ejection_time": "0.3s",
        "max_ejection_time": "0.3s",
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
    })
}

/// Each probe opens its own connection: the question is whether a client could.
fn one_request_a_connection(verify: Option<&Verify>) -> Node {
    // The name in the certificate counts only where the certificate does.
    let verified = matches!(verify, Some(Verify::System | Verify::CaFile(_)));
    yaml!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "common_http_protocol_options": { "max_requests_per_connection": 1 },
            "upstream_http_protocol_options": {
                "auto_sni": true,
                "auto_san_validation": (verified),
            },
            "explicit_http_config": { "http_protocol_options": {} },
        },
    })
}

const SECOND: Duration = Duration::from_secs(1);

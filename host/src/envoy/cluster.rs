//! Clusters: one endpoint each, pools of them, and routes over them.

use std::path::Path;
use std::time::Duration;

use super::BootstrapOptions;
use super::node::{Node, endpoint, list, map, metadata, number, text, time, typed, with};
use crate::plan::{Cluster, Host, Plan, Pool, Route, Verify};

/// A cluster of one endpoint: a replica's port, or the target of its probes.
pub(super) fn single(cluster: &Cluster, plan: &Plan, options: &BootstrapOptions) -> Node {
    let node = endpoints(&cluster.name, &[cluster], plan);
    if serves_traffic(cluster, plan) {
        return passive(node);
    }
    let node = with(
        node,
        "typed_extension_protocol_options",
        Some(one_request(cluster.tls.as_ref())),
    );
    with(
        node,
        "transport_socket",
        cluster.tls.as_ref().map(|verify| tls(verify, options)),
    )
}

/// All replicas of one port, in turn: where tcp_proxy goes without the filter.
pub(super) fn pool(pool: &Pool, plan: &Plan) -> Node {
    let members: Vec<&Cluster> = pool
        .clusters
        .iter()
        .filter_map(|name| plan.clusters.iter().find(|one| one.name == *name))
        .collect();
    passive(endpoints(&pool.name, &members, plan))
}

/// Clusters in order of preference: the next one when the first is out.
pub(super) fn route(route: &Route) -> Node {
    let clusters = route.clusters.iter().chain(&route.then);
    let config = typed(
        "envoy.extensions.clusters.aggregate.v3.ClusterConfig",
        [("clusters", list(clusters.map(text)))],
    );
    map([
        ("name", text(&route.name)),
        ("connect_timeout", text("1s")),
        ("lb_policy", text("CLUSTER_PROVIDED")),
        (
            "cluster_type",
            map([
                ("name", text("envoy.clusters.aggregate")),
                ("typed_config", config),
            ]),
        ),
    ])
}

fn serves_traffic(cluster: &Cluster, plan: &Plan) -> bool {
    plan.pools
        .iter()
        .any(|pool| pool.clusters.contains(&cluster.name))
}

fn endpoints(name: &str, members: &[&Cluster], plan: &Plan) -> Node {
    let fixed = members.iter().all(|one| matches!(one.host, Host::Ip(_)));
    let connect_timeout = members.iter().map(|one| one.connect_timeout).max();
    let endpoints = members.iter().map(|member| {
        map([
            (
                "endpoint",
                map([("address", endpoint(&member.host, member.port))]),
            ),
            ("metadata", metadata("name", &member.replica)),
        ])
    });
    let node = map([
        ("name", text(name)),
        ("connect_timeout", time(connect_timeout.unwrap_or(SECOND))),
        ("per_connection_buffer_limit_bytes", number(BUFFER_LIMIT)),
        (
            "upstream_connection_options",
            map([("tcp_keepalive", keepalive())]),
        ),
        ("circuit_breakers", no_limit()),
        (
            "load_assignment",
            map([
                ("cluster_name", text(name)),
                (
                    "endpoints",
                    list([map([("lb_endpoints", list(endpoints))])]),
                ),
            ]),
        ),
    ]);
    match fixed {
        true => with(node, "type", Some(text("STATIC"))),
        false => with(node, "cluster_type", Some(resolved(plan))),
    }
}

/// DNS names are resolved again while running; the last good answer is kept.
fn resolved(plan: &Plan) -> Node {
    let config = typed(
        "envoy.extensions.clusters.dns.v3.DnsCluster",
        [
            ("dns_refresh_rate", time(plan.dns_refresh)),
            ("dns_lookup_family", text("V4_PREFERRED")),
        ],
    );
    map([
        ("name", text("envoy.clusters.dns")),
        ("typed_config", config),
    ])
}

/// A connect failure takes the endpoint out at once, so that the next attempt of
/// the same connection goes on to the next cluster of its route. Envoy's panic
/// threshold stays as it is: when all endpoints of a route are out, they are tried
/// all the same, and a blip of all replicas lasts no longer than the blip.
fn passive(node: Node) -> Node {
    let detection = map([
        ("split_external_local_origin_errors", Node::Bool(true)),
        ("consecutive_local_origin_failure", number(1)),
        ("enforcing_consecutive_local_origin_failure", number(100)),
        ("max_ejection_percent", number(100)),
        // Long enough for the retry, no longer: who is out, and for how long, the
        // filter decides.
        ("interval", text("0.5s")),
        ("base_ejection_time", text("1s")),
        ("max_ejection_time", text("2s")),
        ("enforcing_consecutive_5xx", number(0)),
        ("enforcing_consecutive_gateway_failure", number(0)),
        ("enforcing_success_rate", number(0)),
        ("enforcing_local_origin_success_rate", number(0)),
    ]);
    with(node, "outlier_detection", Some(detection))
}

/// Each probe opens its own connection: what is asked is whether a client could.
fn one_request(verify: Option<&Verify>) -> Node {
    // The name in the certificate counts only where the certificate does.
    let verified = matches!(verify, Some(Verify::System | Verify::CaFile(_)));
    let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = typed(
        kind,
        [
            (
                "common_http_protocol_options",
                map([("max_requests_per_connection", number(1))]),
            ),
            (
                "upstream_http_protocol_options",
                map([
                    ("auto_sni", Node::Bool(true)),
                    ("auto_san_validation", Node::Bool(verified)),
                ]),
            ),
            (
                "explicit_http_config",
                map([("http_protocol_options", map([]))]),
            ),
        ],
    );
    map([(kind, options)])
}

fn tls(verify: &Verify, options: &BootstrapOptions) -> Node {
    let against = match verify {
        Verify::System => Some(trusted(&options.system_roots)),
        Verify::CaFile(path) => Some(trusted(path)),
        Verify::None => None,
    };
    let common = with(map([]), "validation_context", against);
    let context = typed(
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        [("common_tls_context", common)],
    );
    map([
        ("name", text("envoy.transport_sockets.tls")),
        ("typed_config", context),
    ])
}

fn trusted(certificates: &Path) -> Node {
    // Envoy may be started in another folder.
    let certificates = std::path::absolute(certificates).unwrap_or_else(|_| certificates.into());
    let file = map([("filename", text(certificates.to_string_lossy()))]);
    map([("trusted_ca", file)])
}

/// Envoy's own limits of 1024 would be reached before the operator's.
fn no_limit() -> Node {
    let most = || number(u32::MAX);
    let thresholds = map([
        ("max_connections", most()),
        ("max_pending_requests", most()),
        ("max_requests", most()),
        ("max_retries", most()),
    ]);
    map([("thresholds", list([thresholds]))])
}

/// A dead peer is noticed within two minutes, a quiet one never bothered.
pub(super) fn keepalive() -> Node {
    map([
        ("keepalive_time", number(60)),
        ("keepalive_interval", number(10)),
        ("keepalive_probes", number(6)),
    ])
}

/// Bytes in flight each way: what a fast sender may be ahead of a slow receiver.
pub(super) const BUFFER_LIMIT: u32 = 65536;
const SECOND: Duration = Duration::from_secs(1);

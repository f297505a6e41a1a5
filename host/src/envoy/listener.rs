//! Listeners: one for each port of the service, one for the filter's pages.

use std::time::Duration;

use super::access_log::access_log;
use super::connection::keepalive;
use super::listener_name::ADMIN_NAME;
use super::options::BootstrapOptions;
use super::plugin::Plugin;
use super::proxy_protocol;
use super::tls::downstream_transport_socket;
use super::yaml::{Node, socket_address, time, yaml};
use crate::plan::{Admin, Listener, Plan};
use dtr_lb_filter::requested_host::HEAD_LIMIT;

/// Where connections are accepted: the filter chooses, tcp_proxy forwards.
pub(super) fn traffic(
    name: &str,
    listener: &Listener,
    plan: &Plan,
    options: &BootstrapOptions,
) -> Node {
    let port = listener.port;
    let balancer = Plugin::of_port(port);
    let peer = plan.trusted_proxies.iter().map(|_| proxy_protocol::peer());
    let chosen = [balancer.filter(plan, options), tcp_proxy(listener, plan)];
    let filters: Vec<Node> = peer.chain(chosen).collect();
    yaml!({
        "name": (name),
        "address": (socket_address(listener.bind)),
        "tcp_keepalive": (keepalive()),
        "listener_filters": (listener_filters(plan)),
        "listener_filters_timeout": (listener_filters_timeout(plan)),
        "filter_chains": [{ "filters": (filters) }],
    })
}

/// Has the filter know which of several services a client asks for in TLS.
pub(super) fn tls_inspector() -> Node {
    yaml!({
        "name": "envoy.filters.listener.tls_inspector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        },
    })
}

/// What looks at the first bytes of a connection: who its client is, and what it asks for.
fn listener_filters(plan: &Plan) -> Node {
    let header = plan
        .trusted_proxies
        .iter()
        .map(|_| proxy_protocol::header());
    let inspector = plan.services.iter().map(|_| tls_inspector());
    let filters: Vec<Node> = header.chain(inspector).collect();
    match filters.is_empty() {
        true => Node::Null,
        false => filters.into(),
    }
}

/// How long that may take, one after the other; then the client is closed.
fn listener_filters_timeout(plan: &Plan) -> Node {
    let header = plan.trusted_proxies.as_ref().map(|it| it.timeout);
    let hello = plan.services.as_ref().map(|it| it.hello_timeout);
    match (header, hello) {
        (None, None) => Node::Null,
        (header, hello) => time(header.unwrap_or_default() + hello.unwrap_or_default()),
    }
}

/// What forwards: to the pool, unless the filter names a cluster.
pub(super) fn tcp_proxy(listener: &Listener, plan: &Plan) -> Node {
    yaml!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": (format!("dtr_{}", listener.port)),
            "cluster": (listener.fallback.as_str()),
            // 0s is no limit; left out it would be an hour.
            "idle_timeout": (time(listener.idle_timeout.unwrap_or_default())),
            // An ejection takes a few milliseconds from the main thread to
            // this worker, a hundred and more on a busy machine, and lasts
            // 0.3 s: no wait may be longer than that, and all together must
            // not be shorter than the ejection's way.
            "max_connect_attempts": (attempts_of(listener, plan)),
            "access_log": [(access_log(plan))],
            // Else nothing is read before there is a replica, and the filter could not see
            // which of several services a client asks for by `Host`.
            "max_early_data_bytes": (early_data(plan)),
            "backoff_options": {
                "base_interval": "0.025s",
                "max_interval": (time(LONGEST_BACKOFF)),
            },
        },
    })
}

fn early_data(plan: &Plan) -> Node {
    let services = plan.services.as_ref();
    services.map_or(Node::Null, |_| Node::from(HEAD_LIMIT))
}

/// How often a connection of this listener is tried.
fn attempts_of(listener: &Listener, plan: &Plan) -> u32 {
    let pool = plan.pools.iter().find(|one| one.name == listener.fallback);
    let names = pool
        .map(|pool| pool.clusters.as_slice())
        .unwrap_or_default();
    let clusters = plan.clusters.iter().filter(|one| names.contains(&one.name));
    attempts(
        clusters
            .map(|one| one.connect_timeout)
            .max()
            .unwrap_or_default(),
    )
}

/// How often a connection is tried where one attempt takes so long, so that replicas that
/// swallow it hold it no longer than the host would.
fn attempts(connect_timeout: Duration) -> u32 {
    let most = DIAL_LIMIT.as_millis() / connect_timeout.as_millis().max(1);
    u32::try_from(most).unwrap_or(u32::MAX).clamp(6, 20)
}

/// How long a connection may go on to name clusters after the filter has steered it, where
/// one attempt takes so long.
pub(super) fn longest_dial(connect_timeout: Duration) -> Duration {
    attempts(connect_timeout) * connect_timeout.saturating_add(LONGEST_BACKOFF)
}

/// Where the filter itself answers: the page, the API, the balancer's `/_ping`.
pub(super) fn admin(admin: &Admin, plan: &Plan, options: &BootstrapOptions) -> Node {
    let balancer = Plugin::admin();
    yaml!({
        "name": (ADMIN_NAME),
        "address": (socket_address(admin.bind)),
        // It has a limit of its own.
        "ignore_global_conn_limit": true,
        "filter_chains": [{
            "transport_socket": (admin.tls.as_ref().map_or(Node::Null, downstream_transport_socket)),
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "dtr_admin",
                    "route_config": {
                        "virtual_hosts": [{
                            "name": "admin",
                            "domains": ["*"],
                            // Reached only when the filter is not there to answer.
                            "routes": [{
                                "match": { "prefix": "/" },
                                "direct_response": { "status": 503 },
                            }],
                        }],
                    },
                    "http_filters": [
                        (balancer.filter(plan, options)),
                        {
                            "name": "envoy.filters.http.router",
                            "typed_config": {
                                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                            },
                        },
                    ],
                    // A client that sends a request slowly, or none, does not hold a
                    // connection for ever.
                    "request_headers_timeout": (time(REQUEST_LIMIT)),
                    "request_timeout": (time(REQUEST_LIMIT)),
                    "common_http_protocol_options": { "idle_timeout": (time(IDLE_LIMIT)) },
                },
            }],
        }],
    })
}

/// All connect attempts of a connection together.
const DIAL_LIMIT: Duration = Duration::from_secs(30);
/// Between two of them.
const LONGEST_BACKOFF: Duration = Duration::from_millis(100);
/// How long a request of the admin listener may take to arrive.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection to it may wait for the next request; longer than the
/// interval at which the page refreshes itself.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

//! Listeners: one for each port of the service, one for the filter's pages.

use std::time::Duration;

use dtr_lb_filter::contract::METADATA_PORT;

use super::connection::{BUFFER_LIMIT, keepalive};
use super::options::BootstrapOptions;
use super::overload::{ADMIN_NAME, traffic_name};
use super::plugin::plugin;
use super::yaml::{Node, metadata, socket_address, time, yaml};
use crate::plan::{ADMIN_ROOT, Admin, Listener, Plan, STREAM_ROOT};

/// Where connections are accepted: the filter chooses, tcp_proxy forwards.
pub(super) fn traffic(
    index: usize,
    listener: &Listener,
    plan: &Plan,
    options: &BootstrapOptions,
) -> Node {
    let port = listener.port;
    yaml!({
        "name": (traffic_name(index, port)),
        "address": (socket_address(listener.bind)),
        // How the filter learns which of the service's ports this is.
        "metadata": (metadata(METADATA_PORT, &port.to_string())),
        "per_connection_buffer_limit_bytes": (BUFFER_LIMIT),
        "tcp_keepalive": (keepalive()),
        "filter_chains": [{
            "filters": [
                {
                    "name": "envoy.filters.network.wasm",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm",
                        "config": (plugin(STREAM_ROOT, plan, options)),
                    },
                },
                {
                    "name": "envoy.filters.network.tcp_proxy",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                        "stat_prefix": (format!("dtr_{port}")),
                        "cluster": (listener.fallback.as_str()),
                        // 0s is no limit; left out it would be an hour.
                        "idle_timeout": (time(listener.idle_timeout.unwrap_or_default())),
                        // An ejection takes from a few to 200 ms from the main thread
                        // to this worker, and that of a replica that is up again ends
                        // within 400 ms: the waits are random, up to the double of the
                        // last, and with ten attempts half a second or more in all.
                        "max_connect_attempts": 10,
                        "backoff_options": { "base_interval": "0.025s", "max_interval": "0.25s" },
                    },
                },
            ],
        }],
    })
}

/// Where the filter itself answers: the page, the API, the balancer's `/_ping`.
pub(super) fn admin(admin: &Admin, plan: &Plan, options: &BootstrapOptions) -> Node {
    yaml!({
        "name": (ADMIN_NAME),
        "address": (socket_address(admin.bind)),
        // It has a limit of its own.
        "ignore_global_conn_limit": true,
        "filter_chains": [{
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
                        {
                            "name": "envoy.filters.http.wasm",
                            "typed_config": {
                                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                                "config": (plugin(ADMIN_ROOT, plan, options)),
                            },
                        },
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

/// How long a request of the admin listener may take to arrive.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection to it may wait for the next request; longer than the
/// interval at which the page refreshes itself.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

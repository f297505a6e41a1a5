//! Listeners: one for each port of the service, one for the filter's pages.

use std::time::Duration;

use super::BootstrapOptions;
use super::cluster::{BUFFER_LIMIT, keepalive};
use super::node::{Node, list, map, metadata, number, socket, text, time, typed};
use crate::plan::{ADMIN_ROOT, Admin, Listener, Plan, STREAM_ROOT};

/// Where connections are accepted: the filter chooses, tcp_proxy forwards.
pub(super) fn traffic(
    index: usize,
    listener: &Listener,
    plan: &Plan,
    options: &BootstrapOptions,
) -> Node {
    // 0s is no limit; left out it would be an hour.
    let idle_timeout = listener.idle_timeout.unwrap_or_default();
    let proxy = typed(
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        [
            ("stat_prefix", text(format!("dtr_{}", listener.port))),
            ("cluster", text(&listener.fallback)),
            ("idle_timeout", time(idle_timeout)),
            // Enough for each runner-up once more while an ejection is still on
            // its way from the main thread to this worker.
            ("max_connect_attempts", number(6)),
            (
                "backoff_options",
                map([
                    ("base_interval", text("0.025s")),
                    ("max_interval", text("0.1s")),
                ]),
            ),
        ],
    );
    let filters = list([
        map([
            ("name", text("envoy.filters.network.wasm")),
            (
                "typed_config",
                typed(
                    "envoy.extensions.filters.network.wasm.v3.Wasm",
                    [("config", plugin(STREAM_ROOT, plan, options))],
                ),
            ),
        ]),
        map([
            ("name", text("envoy.filters.network.tcp_proxy")),
            ("typed_config", proxy),
        ]),
    ]);
    map([
        ("name", text(format!("traffic-{index}-{}", listener.port))),
        ("address", socket(listener.bind)),
        // How the filter learns which of the service's ports this is.
        ("metadata", metadata("port", &listener.port.to_string())),
        ("per_connection_buffer_limit_bytes", number(BUFFER_LIMIT)),
        ("tcp_keepalive", keepalive()),
        ("filter_chains", list([map([("filters", filters)])])),
    ])
}

/// Where the filter itself answers: the page, the API, the balancer's `/_ping`.
pub(super) fn admin(admin: &Admin, plan: &Plan, options: &BootstrapOptions) -> Node {
    let wasm = map([
        ("name", text("envoy.filters.http.wasm")),
        (
            "typed_config",
            typed(
                "envoy.extensions.filters.http.wasm.v3.Wasm",
                [("config", plugin(ADMIN_ROOT, plan, options))],
            ),
        ),
    ]);
    let router = map([
        ("name", text("envoy.filters.http.router")),
        (
            "typed_config",
            typed("envoy.extensions.filters.http.router.v3.Router", []),
        ),
    ]);
    // Reached only when the filter is not there to answer.
    let unavailable = map([
        ("match", map([("prefix", text("/"))])),
        ("direct_response", map([("status", number(503))])),
    ]);
    let routes = map([(
        "virtual_hosts",
        list([map([
            ("name", text("admin")),
            ("domains", list([text("*")])),
            ("routes", list([unavailable])),
        ])]),
    )]);
    let manager = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        [
            ("stat_prefix", text("dtr_admin")),
            ("route_config", routes),
            ("http_filters", list([wasm, router])),
            // Who sends a request slowly, or none, does not hold a connection for ever.
            ("request_headers_timeout", time(REQUEST_LIMIT)),
            ("request_timeout", time(REQUEST_LIMIT)),
            (
                "common_http_protocol_options",
                map([("idle_timeout", time(IDLE_LIMIT))]),
            ),
        ],
    );
    let filters = list([map([
        (
            "name",
            text("envoy.filters.network.http_connection_manager"),
        ),
        ("typed_config", manager),
    ])]);
    map([
        ("name", text("admin")),
        ("address", socket(admin.bind)),
        ("filter_chains", list([map([("filters", filters)])])),
    ])
}

/// One plugin. The VM's part is the same for all, so that they share one.
fn plugin(root_id: &str, plan: &Plan, options: &BootstrapOptions) -> Node {
    let filename = text(options.wasm.to_string_lossy());
    let code = map([("local", map([("filename", filename)]))]);
    let (vm_id, configuration) = match &plan.balancer {
        Some(filter) => (filter.vm_id.as_str(), by_line(&filter.configuration)),
        None => ("", String::new()),
    };
    map([
        ("name", text(root_id)),
        ("root_id", text(root_id)),
        ("failure_policy", text("FAIL_RELOAD")),
        // Else a request that waits for its body would never be shown it.
        ("allow_on_headers_stop_iteration", Node::Bool(true)),
        (
            "reload_config",
            map([("backoff", map([("base_interval", text("0.1s"))]))]),
        ),
        (
            "vm_config",
            map([
                ("vm_id", text(vm_id)),
                ("runtime", text("envoy.wasm.runtime.v8")),
                ("code", code),
            ]),
        ),
        (
            "configuration",
            typed(
                "google.protobuf.StringValue",
                [("value", text(configuration))],
            ),
        ),
    ])
}

/// JSON with one line for each field of the whole.
fn by_line(configuration: &serde_json::Value) -> String {
    let fields = configuration.as_object().into_iter().flatten();
    let lines: Vec<String> = fields
        .map(|(name, value)| format!("  \"{name}\": {value}"))
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// How long a request of the admin listener may take to arrive.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection to it may wait for the next request; longer than the page
/// takes to ask again.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

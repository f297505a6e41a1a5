//! A plan as an Envoy bootstrap: the same listeners, clusters, routes and filter,
//! carried by Envoy instead of the host.

mod cluster;
mod listener;
mod node;

use std::net::SocketAddr;
use std::path::PathBuf;

use dtr_lb_filter::contract::metric_name::tags;

use crate::plan::Plan;

use node::{list, map, text};

/// What a bootstrap needs to know besides the plan.
#[derive(Clone, Debug)]
pub struct BootstrapOptions {
    /// Where the filter's module is on the machine that runs Envoy.
    pub wasm: PathBuf,
    /// Where Envoy serves its own admin pages (`/stats/prometheus`, `/ready`);
    /// keep it on loopback, since whoever reaches it may stop Envoy.
    pub envoy_admin: SocketAddr,
    /// The certificates that `"verify": "system"` means there.
    pub system_roots: PathBuf,
}

impl BootstrapOptions {
    /// For a module at that path: admin on 127.0.0.1:9901, certificates where
    /// Debian and Envoy's own image have them.
    #[must_use]
    pub fn with_wasm(wasm: impl Into<PathBuf>) -> Self {
        Self {
            wasm: wasm.into(),
            envoy_admin: SocketAddr::from(([127, 0, 0, 1], 9901)),
            system_roots: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
        }
    }
}

/// Writes the plan as YAML that Envoy 1.40 starts with.
#[must_use]
pub fn bootstrap(plan: &Plan, options: &BootstrapOptions) -> String {
    let listeners = plan
        .listeners
        .iter()
        .enumerate()
        .map(|(index, one)| listener::traffic(index, one, plan, options));
    let admin = plan
        .admin
        .iter()
        .map(|admin| listener::admin(admin, plan, options));
    let pools = plan.pools.iter().map(|pool| cluster::pool(pool, plan));
    let single = plan
        .clusters
        .iter()
        .map(|one| cluster::single(one, plan, options));
    let routes = plan.routes.iter().map(cluster::route);
    let bootstrap = map([
        (
            "node",
            map([("id", text("dtr-lb")), ("cluster", text("dtr-lb"))]),
        ),
        (
            "admin",
            map([("address", node::socket(options.envoy_admin))]),
        ),
        ("layered_runtime", show_reasons()),
        ("stats_config", map([("stats_tags", stats_tags())])),
        (
            "static_resources",
            map([
                ("listeners", list(listeners.chain(admin))),
                ("clusters", list(pools.chain(single).chain(routes))),
            ]),
        ),
    ]);
    // Maps, lists, texts and numbers: nothing in it can fail to become YAML.
    let yaml = yaml_serde::to_string(&bootstrap).unwrap_or_default();
    format!("{HEADER}{yaml}")
}

/// Without it Envoy 1.38.1 and later keep to themselves why a probe failed, and
/// an untrusted certificate looks like a refused connection. Nobody but the
/// filter reads those replies: Envoy's only HTTP listener is the filter's own.
fn show_reasons() -> node::Node {
    let feature = "envoy.reloadable_features.hide_transport_failure_reason_in_response_body";
    let layer = map([
        ("name", text("dtr-lb")),
        ("static_layer", map([(feature, node::Node::Bool(false))])),
    ]);
    map([("layers", list([layer]))])
}

/// Which parts of the filter's metric names become labels.
fn stats_tags() -> node::Node {
    list(tags().map(|(name, regex)| map([("tag_name", text(name)), ("regex", text(regex))])))
}

const HEADER: &str = "\
# Written by `dtr-lb envoy`; write it again rather than edit it.
# envoy -c envoy.yaml --drain-time-s 600
";

#[cfg(test)]
mod tests;

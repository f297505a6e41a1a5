//! The whole bootstrap.

use dtr_lb_filter::contract::metric_name::tags;

use super::options::BootstrapOptions;
use super::yaml::{Node, socket_address, yaml};
use super::{cluster, listener};
use crate::plan::Plan;

/// Writes the plan as YAML that Envoy 1.40 starts with.
#[must_use]
pub fn bootstrap(plan: &Plan, options: &BootstrapOptions) -> String {
    let listeners = plan.listeners.iter().enumerate();
    let traffic = listeners.map(|(index, one)| listener::traffic(index, one, plan, options));
    let admin = plan.admin.iter();
    let admin = admin.map(|admin| listener::admin(admin, plan, options));
    let pools = plan.pools.iter().map(|pool| cluster::pool(pool, plan));
    let single = plan.clusters.iter();
    let single = single.map(|one| cluster::single(one, plan, options));
    let routes = plan.routes.iter().map(cluster::route);

    let bootstrap = yaml!({
        "node": { "id": "dtr-lb", "cluster": "dtr-lb" },
        "admin": { "address": (socket_address(options.envoy_admin)) },
        "layered_runtime": {
            "layers": [{
                "name": "dtr-lb",
                // Without it Envoy 1.38.1 and later keep to themselves why a probe
                // failed, and an untrusted certificate looks like a refused
                // connection. Nobody but the filter reads those replies: Envoy's
                // only HTTP listener is the filter's own.
                "static_layer": {
                    "envoy.reloadable_features.hide_transport_failure_reason_in_response_body": false,
                },
            }],
        },
        "stats_config": { "stats_tags": (stats_tags()) },
        "static_resources": {
            "listeners": (traffic.chain(admin).collect::<Vec<Node>>()),
            "clusters": (pools.chain(single).chain(routes).collect::<Vec<Node>>()),
        },
    });
    // Maps, lists, texts and numbers: nothing in it can fail to become YAML.
    let yaml = yaml_serde::to_string(&bootstrap).unwrap_or_default();
    format!("{HEADER}{yaml}")
}

/// Which parts of the filter's metric names become labels.
fn stats_tags() -> Vec<Node> {
    tags()
        .iter()
        .map(|(name, regex)| yaml!({ "tag_name": (*name), "regex": (regex.as_str()) }))
        .collect()
}

const HEADER: &str = "\
# Written by `dtr-lb envoy`; write it again rather than edit it.
# envoy -c envoy.yaml --drain-time-s 600
";

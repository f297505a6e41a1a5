//! How many clients may be connected at once. Envoy ends when it is out of open files,
//! and with it every connection; a limit keeps it from there.

use super::listener_name::{ADMIN_NAME, listener_names};
use super::yaml::{Node, yaml};
use crate::plan::Plan;

/// The limit over all workers and listeners; a later one is closed at once.
pub(super) fn manager(plan: &Plan) -> Node {
    yaml!({
        "resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": (connections(plan)),
            },
        }],
    })
}

/// The listeners' own limits, as Envoy's runtime has them.
pub(super) fn listener_limits(plan: &Plan) -> impl Iterator<Item = (String, u32)> {
    let listeners = plan.listeners.iter().zip(listener_names(plan));
    let own = listeners.filter_map(|(one, name)| one.max_connections.map(|most| (name, most)));
    // It does not count towards the whole, so that it is served when that is full.
    let admin = plan.admin.iter();
    own.chain(admin.map(|_| (ADMIN_NAME.to_owned(), ADMIN_CONNECTIONS)))
        .map(|(name, most)| {
            let key = format!("envoy.resource_limits.listener.{name}.connection_limit");
            (key, most)
        })
}

/// How many clients may be connected at once.
pub(super) fn connections(plan: &Plan) -> u32 {
    plan.max_connections.unwrap_or(CONNECTIONS)
}

/// How many files Envoy must be allowed to open for that.
pub(super) fn open_files(plan: &Plan) -> u64 {
    u64::from(connections(plan)) * 2 + OTHER_FILES
}

/// Where the configuration has no limit. Envoy can't tell how many files there are.
const CONNECTIONS: u32 = 10_000;
/// Of the admin listener; more than a monitoring system and some browsers need.
const ADMIN_CONNECTIONS: u32 = 64;
/// What is open besides clients' connections and the replicas' ends of them: 15 files
/// of Envoy's own, 7 for each worker (as measured; enough for 40 workers), 64
/// connections to the admin listener, and 128 probes.
const OTHER_FILES: u64 = 512;

//! What the filter and the hosts that run it must agree on, once: names of
//! clusters, routes and plugins, and the keys under which they hand each other
//! what they know. Both sides call these, so that neither repeats the other.
//!
//! | what | such as |
//! |---|---|
//! | the cluster of a replica on a port | `443/r1` |
//! | the cluster a check probes a replica through | `ping/r1` |
//! | all replicas of a port, for want of a choice | `443` |
//! | a route: a replica, and its runner-up | `443/r1>r3` |

pub mod metric_name;
pub mod route;

pub use route::{Route, Routes};

/// Root id of the plugin that picks a replica for each connection.
pub const STREAM_ROOT: &str = "dtr-lb";

/// Root id of the plugin that answers on the admin listener.
pub const ADMIN_ROOT: &str = "dtr-lb-admin";

/// The id of the VMs that both plugins run in; VMs of one id share their data.
pub const VM_ID: &str = "dtr-lb";

/// Ours among the `filter_metadata` of listeners and endpoints.
pub const METADATA: &str = "dtr";

/// In a listener's [`METADATA`]: the service's port, in decimal.
pub const METADATA_PORT: &str = "port";

/// In an endpoint's [`METADATA`]: the name of its replica.
pub const METADATA_REPLICA: &str = "name";

/// Where the filter reads the port of a connection's listener. `listener_metadata`
/// alone is not served to network filters by Envoy 1.40, whatever its documentation
/// says.
pub const PORT_PROPERTY: [&str; 5] = [
    "xds",
    "listener_metadata",
    "filter_metadata",
    METADATA,
    METADATA_PORT,
];

/// Where the filter reads the replica that a connection is, or is being, connected
/// to.
pub const REPLICA_PROPERTY: [&str; 5] = [
    "xds",
    "upstream_host_metadata",
    "filter_metadata",
    METADATA,
    METADATA_REPLICA,
];

/// The foreign function that sets a connection's filter state.
pub const STEERING_FUNCTION: &str = "set_envoy_filter_state";

/// The filter state that sends a connection to a cluster or route.
pub const STEERING_KEY: &str = "envoy.tcp_proxy.cluster";

/// The header by which a replica's own answer is known from one the proxy made up.
pub const REPLICA_ANSWERED: &str = "x-envoy-upstream-service-time";

/// The cluster of a replica on one of the service's ports; also the route to it
/// that has no runner-up.
pub fn replica_cluster(port: u16, replica: &str) -> String {
    format!("{port}/{replica}")
}

/// The cluster that a check probes a replica through.
pub fn probe_cluster(check: &str, replica: &str) -> String {
    format!("{check}/{replica}")
}

/// The cluster of all replicas of one port: where connections go that the filter
/// does not steer.
pub fn pool(port: u16) -> String {
    port.to_string()
}

/// The routes of one port: exactly those the filter may name, whatever the
/// replicas' health, weights, limits and whether they are backups. From each
/// replica there is one without a runner-up, and one with each of the
/// `runners_up` replicas that follow in the list, which is a ring.
///
/// ```
/// use dtr_lb_filter::contract::{Route, routes};
///
/// let routes = routes(443, &["r1", "r2", "r3"], 1);
/// let names: Vec<&str> = routes.iter().map(Route::name).collect();
/// assert_eq!(
///     names,
///     ["443/r1", "443/r1>r2", "443/r2", "443/r2>r3", "443/r3", "443/r3>r1"]
/// );
/// ```
pub fn routes(port: u16, replicas: &[&str], runners_up: usize) -> Routes {
    Routes::over(port, replicas, runners_up)
}

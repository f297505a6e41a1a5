//! Ids and keys under which filter and host hand each other what they know.

/// The id of the VMs that all plugins run in; VMs of one id share their data.
pub const VM_ID: &str = "dtr-lb";

/// Ours among the `filter_metadata` of endpoints.
pub const METADATA: &str = "dtr";

/// In an endpoint's [`METADATA`]: the name of its replica.
pub const METADATA_REPLICA: &str = "name";

/// Where the filter reads the replica that a connection is, or is being, connected
/// to. `upstream_host_metadata` alone is not served to network filters by Envoy 1.40,
/// whatever its documentation says.
pub const REPLICA_PROPERTY: &str = "xds\0upstream_host_metadata\0filter_metadata\0dtr\0name";

/// The foreign function that sets a connection's filter state.
pub const STEERING_FUNCTION: &str = "set_envoy_filter_state";

/// The filter state that sends a connection to a cluster or route.
pub const STEERING_KEY: &str = "envoy.tcp_proxy.cluster";

/// The property under which the filter leaves why it refuses or closes a connection, such
/// as `all-down`; hosts keep it as the filter state [`REFUSAL_STATE`].
pub const REFUSAL_PROPERTY: &str = "dtr_lb_refusal";

/// The filter state that [`REFUSAL_PROPERTY`] becomes.
pub const REFUSAL_STATE: &str = "wasm.dtr_lb_refusal";

/// The property under which the standalone host says which of several services a
/// connection is for: the service's name. In TLS the name that the client asked for says
/// so as well, and counts.
pub const SERVICE_PROPERTY: &str = "dtr_lb_service";

/// What the access log calls the end of a client that has not said in time which of
/// several services it wants.
pub const HELLO_TIMEOUT: &str = "hello-timeout";

/// The filter state under which an Envoy says who has connected, an address and a port, where a
/// PROXY header may say that the client is another.
pub const PEER_STATE: &str = "dtr_lb.peer";

/// The property that [`PEER_STATE`] is.
pub const PEER_PROPERTY: &str = "filter_state\0dtr_lb.peer";

/// What the access log calls the end of a client that sends a PROXY header and is no trusted
/// proxy.
pub const UNTRUSTED_HEADER: &str = "untrusted-proxy-header";

/// What the access log calls the end of a connection that is closed because its replica
/// turned unhealthy.
pub const REPLICA_DOWN: &str = "replica-down";

/// The header by which a replica's own answer is known from one the proxy made up.
pub const REPLICA_ANSWERED: &str = "x-envoy-upstream-service-time";

/// The key of shared data under which the standalone host leaves what the registry says
/// of its own replicas, as JSON. For one of several services the key is its
/// [`shared_key`](super::shared_key).
pub const CLUSTER_STATUS: &str = "dtr.cluster_status";

/// The header by which the standalone host hands over what a replica showed in the TLS
/// handshake, with the answer to an HTTP call: a
/// [`Certificate`](crate::compare::Certificate). It lets none of a replica's own pass.
pub const PEER_CERTIFICATE: &str = "x-dtr-lb-peer-certificate";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_where_hosts_leave_it() {
        let path = ["xds", "upstream_host_metadata", "filter_metadata"];
        let path = [&path[..], &[METADATA, METADATA_REPLICA]].concat();
        assert_eq!(REPLICA_PROPERTY, path.join("\0"));
        assert_eq!(PEER_PROPERTY, ["filter_state", PEER_STATE].join("\0"));
        assert_eq!(REFUSAL_STATE, format!("wasm.{REFUSAL_PROPERTY}"));
    }
}

//! Names of clusters.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_named_by_port_or_check_and_replica() {
        assert_eq!(replica_cluster(443, "r1"), "443/r1");
        assert_eq!(
            probe_cluster("ping", "dtr-1.example.com"),
            "ping/dtr-1.example.com"
        );
        assert_eq!(pool(443), "443");
    }
}

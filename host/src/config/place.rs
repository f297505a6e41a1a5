//! Where fields stand in a file of several services.

/// Where a field of one registry's file stands in a file of several services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    TopLevel,
    Service,
}

/// The known fields of the object at hand, of those of a whole file of one registry.
pub(super) fn known<'a>(place: Place, of_registry: &[&'a str]) -> Vec<&'a str> {
    let is_own = |name: &&&str| OF_A_SERVICE.contains(*name) == (place == Place::Service);
    let own: &[&str] = match place {
        Place::TopLevel => &OF_SERVICES,
        Place::Service => &OF_A_SERVICE_ALONE,
    };
    own.iter()
        .copied()
        .chain(of_registry.iter().filter(is_own).copied())
        .collect()
}

/// The known fields of the file of one registry, and the one that would make it a file of
/// several.
pub(super) fn with_services<'a>(of_registry: &[&'a str]) -> Vec<&'a str> {
    of_registry.iter().copied().chain([SERVICES]).collect()
}

/// What makes a file one of several services.
pub(super) const SERVICES: &str = "services";

/// The fields of one registry's file that are each service's where there are several.
pub(super) const OF_A_SERVICE: [&str; 11] = [
    "fqdn",
    "replicas",
    "policy",
    "when_all_down",
    "on_down",
    "min_healthy",
    "slow_start",
    "passive",
    "health",
    "compare_interval",
    "cluster_status",
];

/// The others: the balancer's.
pub(super) const OF_THE_BALANCER: [&str; 21] = [
    "listeners",
    "admin",
    "state_dir",
    "takeover_socket",
    "watch",
    "filters",
    "connect_timeout",
    "idle_timeout",
    "resend_first_flight",
    "half_close_timeout",
    "max_connections",
    "per_client_max_connections",
    "allow",
    "deny",
    "accept_proxy_from",
    "proxy_protocol_timeout",
    "dns_refresh",
    "nameservers",
    "drain_delay",
    "drain_timeout",
    "$schema",
];

/// What the file of one registry does not have.
pub(super) const OF_SERVICES: [&str; 3] = [SERVICES, "default", "hello_timeout"];
/// And what each service has besides.
pub(super) const OF_A_SERVICE_ALONE: [&str; 2] = ["name", "names"];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::json_schema;
    use std::collections::BTreeSet;

    #[test]
    fn each_field_of_a_registry_is_either_its_own_or_the_balancers() {
        let schema = json_schema();
        let fields = schema["definitions"]["Balancer"]["properties"].as_object();
        let fields: BTreeSet<&str> = fields.unwrap().keys().map(String::as_str).collect();
        let listed = OF_A_SERVICE.into_iter().chain(OF_THE_BALANCER);
        assert_eq!(fields, listed.collect());
    }
}

//! A plan for the tests of what takes one.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Address, Balancer, Cluster, Plan, Pool, Protocol};

/// A cluster for each endpoint, of one replica of the same name, and the pool
/// `all` of them. No listeners, no routes.
pub(crate) fn plan(endpoints: &[(&str, SocketAddr)]) -> Plan {
    let cluster = |&(name, address): &(&str, SocketAddr)| Cluster {
        name: name.to_owned(),
        part_of: None,
        replica: name.to_owned(),
        check: None,
        host: Address::Ip(address.ip()),
        port: address.port(),
        tls: None,
        proxy_protocol: None,
        protocol: Protocol::Http1,
        connect_timeout: Duration::from_millis(100),
    };
    let names = endpoints.iter().map(|(name, _)| (*name).to_owned());
    Plan {
        listeners: Vec::new(),
        clusters: endpoints.iter().map(cluster).collect(),
        routes: Vec::new(),
        pools: vec![Pool {
            name: "all".to_owned(),
            clusters: names.collect(),
        }],
        network_filters: Vec::new(),
        balancer: Some(Balancer {
            vm_id: String::new(),
            configuration: serde_json::Value::Null,
        }),
        admin: None,
        state_dir: None,
        services: None,
        cluster_statuses: Vec::new(),
        max_connections: None,
        trusted_proxies: None,
        drain_delay: Duration::ZERO,
        drain_timeout: Duration::ZERO,
        dns_refresh: Duration::from_secs(1),
    }
}

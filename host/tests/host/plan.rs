//! The plan of most tests.

use std::time::Duration;

use dtr_lb::plan::{self, Admin, Cluster, Filter, Listener, Plan, Pool, Protocol, Route};

use crate::replica::Replica;

pub(crate) fn plan(replicas: &[&Replica]) -> Plan {
    let cluster = |service: &str, (at, replica): (usize, &&Replica)| Cluster {
        name: format!("{service}/r{at}"),
        part_of: None,
        replica: format!("r{at}"),
        host: plan::Host::Ip(replica.address.ip()),
        port: replica.address.port(),
        tls: None,
        protocol: Protocol::Http1,
        connect_timeout: Duration::from_secs(1),
    };
    let traffic: Vec<_> = replicas
        .iter()
        .enumerate()
        .map(|it| cluster("443", it))
        .collect();
    let probes = replicas.iter().enumerate().map(|it| cluster("ping", it));
    let names: Vec<_> = traffic.iter().map(|cluster| cluster.name.clone()).collect();
    Plan {
        listeners: vec![Listener {
            bind: ([127, 0, 0, 1], 0).into(),
            port: 443,
            fallback: "443".to_owned(),
            idle_timeout: None,
        }],
        routes: vec![Route {
            name: "443/r0>r1".to_owned(),
            clusters: names.iter().take(2).cloned().collect(),
            then: Some("443".to_owned()),
        }],
        pools: vec![Pool {
            name: "443".to_owned(),
            clusters: names,
        }],
        clusters: traffic.into_iter().chain(probes).collect(),
        filters: Vec::new(),
        filter: Some(Filter {
            vm_id: "test".to_owned(),
            configuration: serde_json::json!({}),
        }),
        admin: Some(Admin {
            bind: ([127, 0, 0, 1], 0).into(),
        }),
        drain_timeout: Duration::from_secs(1),
        dns_refresh: Duration::from_secs(30),
    }
}

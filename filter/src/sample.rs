//! Configurations for tests.

use crate::balance::order::Order;
use crate::config::{
    Admin, Check, CheckKind, Config, Health, Listener, OnDown, Passive, Policy, Protect, Replica,
    Start, WhenAllDown,
};
use crate::contract::ClusterNames;

/// Replicas `r1`, `r2` ... on port 443, with the check `ping`.
pub(crate) fn config(replicas: usize) -> Config {
    let replica = |number| Replica {
        name: format!("r{number}"),
        address: format!("10.0.0.{number}"),
        weight: 1,
        backup: false,
        max_connections: None,
        state: Order::Ready,
    };
    Config {
        service: None,
        fqdn: "dtr.example.com".to_owned(),
        policy: Policy::LeastConnections,
        when_all_down: WhenAllDown::Refuse,
        on_down: OnDown::Keep,
        min_healthy: 1,
        max_connections: None,
        slow_start_ms: 0,
        passive: Passive {
            fails: 2,
            window_ms: 5000,
            hold_ms: 10_000,
        },
        replicas: (1..=replicas).map(replica).collect(),
        listeners: vec![Listener {
            port: 443,
            checks: vec!["ping".to_owned()],
        }],
        runners_up: 3,
        cluster_names: ClusterNames::default(),
        port: None,
        checks: vec![Check {
            name: "ping".to_owned(),
            kind: CheckKind::Http {
                scheme: "https".to_owned(),
                path: "/_ping".to_owned(),
                statuses: vec![(200, 200)],
                headers: Vec::new(),
                body: None,
            },
        }],
        health: Health {
            interval_ms: 1000,
            fast_interval_ms: 250,
            down_interval_ms: 500,
            timeout_ms: 800,
            rise: 2,
            fall: 2,
            jitter: 0.0,
            start: Start::Up,
        },
        compare: None,
        clients: None,
        admin: Admin {
            token: None,
            loopback: true,
            protect: Protect::Changes,
        },
    }
}

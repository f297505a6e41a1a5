//! Configurations.

use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::config::{
    Admin, Check, CheckKind, Config, Health, Listener, OnDown, Passive, Policy, Protect, Replica,
    Start, WhenAllDown,
};
use dtr_lb_filter::contract::ClusterNames;

pub fn sample_config(replicas: usize) -> Config {
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
        replicas: (1..=replicas)
            .map(|number| replica(&format!("r{number}")))
            .collect(),
        listeners: vec![Listener {
            port: 443,
            checks: vec!["ping".to_owned()],
        }],
        runners_up: 3,
        cluster_names: ClusterNames::default(),
        port: None,
        checks: vec![check("ping")],
        health: Health {
            interval_ms: 1000,
            fast_interval_ms: 250,
            down_interval_ms: 500,
            timeout_ms: 800,
            rise: 2,
            fall: 2,
            jitter: 0.1,
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

pub fn replica(name: &str) -> Replica {
    Replica {
        name: name.to_owned(),
        address: format!("{name}.internal"),
        weight: 1,
        backup: false,
        max_connections: None,
        state: Order::Ready,
    }
}

pub fn check(name: &str) -> Check {
    let kind = CheckKind::Http {
        scheme: "https".to_owned(),
        path: "/_ping".to_owned(),
        statuses: vec![(200, 200)],
        headers: Vec::new(),
        body: None,
    };
    Check {
        name: name.to_owned(),
        kind,
    }
}

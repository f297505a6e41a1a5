//! The filter's part of a configuration.

use std::time::Duration;

use dtr_lb_filter::config::{self as filter, CheckKind};
use dtr_lb_filter::contract::ClusterNames;
use serde_json::{Value, json};

use crate::config::{Admin, Check, Config, Services};

/// What the filter's plugins are configured with for several registries, of which these are
/// the parts.
pub(super) fn several(services: &Services, registries: Vec<Value>) -> Value {
    json!({
        "services": registries,
        "default": services.default,
        "hello_timeout_ms": milliseconds(services.hello_timeout),
    })
}

/// What the filter's plugins are configured with, as JSON.
pub(super) fn filter_configuration(
    config: &Config,
    names: &ClusterNames,
    runners_up: usize,
) -> Value {
    let mut listeners: Vec<filter::Listener> = Vec::new();
    for listener in &config.listeners {
        // Two addresses may serve one port.
        if listeners.iter().all(|known| known.port != listener.port) {
            listeners.push(filter::Listener {
                port: listener.port,
                checks: vec![listener.check.clone()],
            });
        }
    }
    let replicas = config.replicas.iter().map(|replica| filter::Replica {
        name: replica.name.clone(),
        address: replica.address.to_string(),
        weight: replica.weight,
        backup: replica.backup,
        max_connections: replica.max_connections,
        state: replica.state,
    });
    let checks = config.checks.iter().map(|check| filter::Check {
        name: check.name.clone(),
        kind: check.kind.clone(),
    });
    let filter = filter::Config {
        service: config.service.clone(),
        fqdn: config.fqdn.clone(),
        policy: config.policy,
        when_all_down: config.when_all_down,
        on_down: config.on_down,
        min_healthy: config.min_healthy,
        max_connections: config.max_connections.map(u64::from),
        slow_start_ms: milliseconds(config.slow_start),
        passive: filter::Passive {
            fails: config.passive.fails,
            window_ms: milliseconds(config.passive.window),
            hold_ms: milliseconds(config.passive.hold),
        },
        replicas: replicas.collect(),
        listeners,
        runners_up,
        cluster_names: names.clone(),
        port: None,
        checks: checks.collect(),
        health: filter::Health {
            interval_ms: milliseconds(config.health.interval),
            fast_interval_ms: milliseconds(config.health.fast_interval),
            down_interval_ms: milliseconds(config.health.down_interval),
            timeout_ms: milliseconds(config.health.timeout),
            rise: config.health.rise,
            fall: config.health.fall,
            jitter: config.health.jitter,
            start: config.health.start,
        },
        compare: compare(config),
        clients: clients(config),
        admin: config
            .admin
            .as_ref()
            .map_or(filter::Admin::NOBODY, Admin::access),
    };
    // Strings, numbers and lists only: nothing in it can fail to become JSON.
    serde_json::to_value(filter).unwrap_or_default()
}

/// Where there are rules for clients.
fn clients(config: &Config) -> Option<filter::ClientRules> {
    let rules = filter::ClientRules {
        trusted_proxies: (config.trusted_proxies.as_ref())
            .map(|proxies| proxies.networks.clone())
            .unwrap_or_default(),
        allow: config.allow.clone(),
        deny: config.deny.clone().unwrap_or_default(),
        max_connections: config.per_client_max_connections,
    };
    (rules != filter::ClientRules::default()).then_some(rules)
}

/// Asked is what a check over HTTP asks, over TLS if there is one: only there some
/// registries say how to log in.
fn compare(config: &Config) -> Option<filter::Compare> {
    let path = |check: &Check| match &check.kind {
        CheckKind::Http { path, .. } => {
            Some(check.login_path.map_or_else(|| path.clone(), str::to_owned))
        }
        CheckKind::Tcp => None,
    };
    let mut asked = config.checks.iter().filter(|check| path(check).is_some());
    let first = asked.clone().next();
    let check = asked.find(|check| check.tls.is_some()).or(first)?;
    Some(filter::Compare {
        check: check.name.clone(),
        path: path(check)?,
        interval_ms: milliseconds(config.compare_interval),
    })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

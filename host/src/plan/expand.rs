//! From the operator's configuration to a plan.

use std::collections::BTreeSet;
use std::time::Duration;

use dtr_lb_filter::config as filter;

use super::{Admin, Cluster, Filter, Listener, Plan, Pool, Protocol, Route};
use crate::config::{self, Config};

impl Plan {
    /// What a configuration comes to.
    ///
    /// Every replica gets a cluster for each port of the service and for each
    /// check, and routes that name its runners-up. Up to eight replicas there is
    /// a route for every ordered pair and it goes on with all the others; above
    /// that a replica has three runners-up (the next ones of the list, which is
    /// a ring) and the route goes on with the pool, so that the number of routes
    /// grows no faster than the number of replicas.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let runners_up = match config.replicas.len() {
            few @ 1..=EVERY_PAIR => few - 1,
            _ => RUNNERS_UP,
        };
        let ports: BTreeSet<u16> = config.listeners.iter().map(|one| one.port).collect();
        let traffic = ports.iter().flat_map(|port| {
            config.replicas.iter().map(move |replica| Cluster {
                name: named(port, &replica.name),
                part_of: None,
                replica: replica.name.clone(),
                host: replica.host.clone(),
                port: replica.port(*port),
                tls: None,
                protocol: Protocol::Http1,
                connect_timeout: config.connect_timeout,
            })
        });
        let probes = config.checks.iter().flat_map(|check| {
            config.replicas.iter().map(move |replica| Cluster {
                name: named(&check.name, &replica.name),
                part_of: None,
                replica: replica.name.clone(),
                host: replica.host.clone(),
                port: replica.port(check.port),
                tls: check.tls.clone(),
                protocol: Protocol::Http1,
                connect_timeout: probe_connect_timeout(config.health.timeout),
            })
        });
        Self {
            listeners: config
                .listeners
                .iter()
                .map(|one| listener(one, config))
                .collect(),
            clusters: traffic.chain(probes).collect(),
            routes: ports
                .iter()
                .flat_map(|port| routes(*port, &config.replicas, runners_up))
                .collect(),
            pools: ports
                .iter()
                .map(|port| Pool {
                    name: port.to_string(),
                    clusters: names(*port, &config.replicas),
                })
                .collect(),
            network_filters: config.filters.clone(),
            balancer: Some(Filter {
                vm_id: VM_ID.to_owned(),
                configuration: filter_configuration(config, runners_up),
            }),
            admin: config
                .admin
                .as_ref()
                .map(|admin| Admin { bind: admin.bind }),
            drain_timeout: config.drain_timeout,
            dns_refresh: config.dns_refresh,
        }
    }
}

/// A little shorter than the probe: Envoy hands a connection that is still being
/// opened when its probe is over to the next one, which then fails for no fault of
/// its own. And only this tells a black hole from a replica that accepts and says
/// nothing, which a `tcp` check takes for well.
fn probe_connect_timeout(probe: Duration) -> Duration {
    (probe * 9 / 10).max(Duration::from_millis(1))
}

fn listener(listener: &config::Listener, config: &Config) -> Listener {
    Listener {
        bind: listener.bind,
        port: listener.port,
        fallback: listener.port.to_string(),
        idle_timeout: config.idle_timeout,
    }
}

/// The routes of one port: each replica first, each of its runners-up second.
fn routes(port: u16, replicas: &[config::Replica], runners_up: usize) -> Vec<Route> {
    let ring = names(port, replicas);
    let every_pair = runners_up + 1 == ring.len();
    let mut routes = Vec::new();
    for (index, first) in ring.iter().enumerate() {
        let followers = || ring.iter().enumerate().cycle().skip(index + 1);
        for (second_index, second) in followers().take(runners_up) {
            let mut clusters = vec![first.clone(), second.clone()];
            if every_pair {
                let rest = followers()
                    .take(runners_up)
                    .filter(|(other, _)| *other != second_index);
                clusters.extend(rest.map(|(_, name)| name.clone()));
            }
            let runner_up = replicas
                .get(second_index)
                .map_or("", |one| one.name.as_str());
            routes.push(Route {
                name: format!("{first}>{runner_up}"),
                clusters,
                then: (!every_pair).then(|| port.to_string()),
            });
        }
    }
    routes
}

fn names(port: u16, replicas: &[config::Replica]) -> Vec<String> {
    let names = replicas.iter().map(|replica| named(port, &replica.name));
    names.collect()
}

fn named(what: impl std::fmt::Display, replica: &str) -> String {
    format!("{what}/{replica}")
}

fn filter_configuration(config: &Config, runners_up: usize) -> serde_json::Value {
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
        weight: replica.weight,
        backup: replica.backup,
        max_connections: replica.max_connections,
    });
    let checks = config.checks.iter().map(|check| filter::Check {
        name: check.name.clone(),
        kind: check.kind.clone(),
    });
    let filter = filter::Config {
        fqdn: config.fqdn.clone(),
        policy: config.policy,
        when_all_down: config.when_all_down,
        on_down: config.on_down,
        min_healthy: config.min_healthy,
        slow_start_ms: milliseconds(config.slow_start),
        passive: filter::Passive {
            fails: config.passive.fails,
            window_ms: milliseconds(config.passive.window),
            hold_ms: milliseconds(config.passive.hold),
        },
        replicas: replicas.collect(),
        listeners,
        runners_up,
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
        admin: filter::Admin {
            token: config.admin.as_ref().and_then(|admin| admin.token.clone()),
            loopback: config
                .admin
                .as_ref()
                .is_some_and(|admin| admin.bind.ip().is_loopback()),
        },
    };
    // Strings, numbers and lists only: nothing in it can fail to become JSON.
    serde_json::to_value(filter).unwrap_or_default()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Up to so many replicas every ordered pair has a route.
const EVERY_PAIR: usize = 8;
/// Above that each replica has so many runners-up.
const RUNNERS_UP: usize = 3;
const VM_ID: &str = "dtr-lb";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;
    use crate::plan::{Host, Verify};

    fn plan(replicas: usize, rest: &str) -> Plan {
        let replicas: Vec<String> = (1..=replicas)
            .map(|number| format!(r#"{{"address": "10.0.0.{number}"}}"#))
            .collect();
        let text = format!(
            r#"{{"fqdn": "dtr.example.com", "replicas": [{}] {rest}}}"#,
            replicas.join(",")
        );
        Plan::of(&Config::parse(&text, "lb.json").unwrap())
    }

    fn route<'a>(plan: &'a Plan, name: &str) -> &'a Route {
        let found = plan.routes.iter().find(|route| route.name == name);
        found.unwrap_or_else(|| panic!("no route {name} among {:?}", plan.routes))
    }

    #[test]
    fn each_replica_has_a_cluster_for_each_port_and_check() {
        let plan = plan(2, "");
        let names: Vec<&str> = plan.clusters.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            ["80/r1", "80/r2", "443/r1", "443/r2", "ping/r1", "ping/r2"]
        );
        assert_eq!(plan.clusters[2].port, 443);
        assert_eq!(plan.clusters[2].tls, None, "traffic is never touched");
        assert_eq!(plan.clusters[5].tls, Some(Verify::System));
        assert_eq!(plan.clusters[5].host, Host::Ip([10, 0, 0, 2].into()));
        assert_eq!(plan.pools[1].clusters, ["443/r1", "443/r2"]);
        assert_eq!(plan.listeners[1].fallback, "443");
    }

    #[test]
    fn up_to_eight_replicas_every_ordered_pair_has_a_route_over_all() {
        let plan = plan(3, "");
        assert_eq!(
            plan.routes.len(),
            2 * 3 * 2,
            "two ports, three replicas, two others each"
        );
        let route = route(&plan, "443/r3>r2");
        assert_eq!(route.clusters, ["443/r3", "443/r2", "443/r1"]);
        assert_eq!(route.then, None);
        assert_eq!(
            plan.balancer.as_ref().unwrap().configuration["runners_up"],
            2
        );
    }

    #[test]
    fn a_probe_that_is_not_connected_is_over_before_its_time() {
        let plan = plan(2, r#", "health": { "interval": "2s", "timeout": "1s" }"#);
        let probe = &plan.clusters[5];
        assert_eq!(probe.name, "ping/r2");
        assert_eq!(probe.connect_timeout, Duration::from_millis(900));
        assert_eq!(plan.clusters[0].connect_timeout, Duration::from_secs(1));
    }

    #[test]
    fn one_replica_has_no_runner_up() {
        let plan = plan(1, "");
        assert!(plan.routes.is_empty());
        assert_eq!(
            plan.balancer.as_ref().unwrap().configuration["runners_up"],
            0
        );
    }

    #[test]
    fn above_eight_replicas_each_has_the_three_that_follow_in_the_ring() {
        let plan = plan(9, "");
        assert_eq!(plan.routes.len(), 2 * 9 * 3);
        let route = route(&plan, "443/r8>r1");
        assert_eq!(route.clusters, ["443/r8", "443/r1"]);
        assert_eq!(route.then.as_deref(), Some("443"));
        assert_eq!(
            plan.balancer.as_ref().unwrap().configuration["runners_up"],
            3
        );
        assert!(plan.routes.iter().all(|one| one.name != "443/r8>r3"));
    }

    #[test]
    fn a_replica_is_reached_and_probed_on_its_own_ports() {
        let text = r#"{ "fqdn": "dtr.example.com",
            "replicas": [{ "address": "10.0.0.1", "ports": { "443": 8443, "9000": 19000 } }],
            "listeners": [{ "bind": "[::1]:0", "port": 443 }],
            "health": { "target": "http:9000/_ping" } }"#;
        let plan = Plan::of(&Config::parse(text, "lb.json").unwrap());
        let ports: Vec<(&str, u16)> = plan
            .clusters
            .iter()
            .map(|one| (one.name.as_str(), one.port))
            .collect();
        assert_eq!(ports, [("443/r1", 8443), ("ping/r1", 19000)]);
    }

    #[test]
    fn the_filter_reads_back_what_it_is_given() {
        let plan = plan(
            3,
            r#", "min_healthy": 2, "admin": { "bind": "[::1]:8181" }"#,
        );
        let filter: filter::Config =
            serde_json::from_value(plan.balancer.as_ref().unwrap().configuration.clone()).unwrap();
        assert_eq!(filter.min_healthy, 2);
        assert_eq!(filter.health.interval_ms, 2000);
        assert_eq!(filter.replicas.len(), 3);
        assert!(filter.admin.loopback);
        let checks: Vec<&str> = filter.checks.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(checks, ["ping"]);
        assert_eq!(filter.listeners[0].checks, ["ping"]);
    }

    #[test]
    fn two_addresses_of_one_port_share_its_clusters() {
        let listeners =
            r#", "listeners": [{"bind": "0.0.0.0:443"}, {"bind": "127.0.0.1:0", "port": 443}]"#;
        let plan = plan(2, listeners);
        assert_eq!(plan.listeners.len(), 2);
        assert_eq!(plan.pools.len(), 1);
        let listeners = plan.balancer.as_ref().unwrap().configuration["listeners"]
            .as_array()
            .unwrap();
        assert_eq!(listeners.len(), 1, "{listeners:?}");
    }
}

//! What the filter names, the plan defines: no route, cluster or pool more or less.
//! That the filter names exactly the routes of the contract, its own tests prove.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::collections::BTreeSet;

use dtr_lb_filter::contract::ClusterNames;
use dtr_lb_filter::{config as filter, contract};
use serde_json::json;

use super::routes::routes;
use super::*;
use crate::config::{Config, Replica};

/// Replicas of every kind, on three ports at four addresses, with two checks.
fn config(replicas: usize) -> Config {
    let replicas: Vec<_> = (1..=replicas)
        .map(|number| {
            let ports = match number % 3 {
                0 => json!({ "443": 8443, "9000": 19_000 }),
                _ => json!({}),
            };
            json!({
                "name": format!("node-{number}"),
                "address": format!("10.0.0.{number}"),
                "backup": number % 4 == 2,
                "ports": ports,
            })
        })
        .collect();
    let file = json!({
        "fqdn": "dtr.example.com",
        "replicas": replicas,
        "listeners": [
            { "bind": "0.0.0.0:80" },
            { "bind": "0.0.0.0:443" },
            { "bind": "127.0.0.1:0", "port": 443 },
            { "bind": "0.0.0.0:5000", "health": { "target": "http:9000/_ping" } },
        ],
    });
    Config::parse(&file.to_string(), "lb.json").unwrap()
}

fn filter_config(plan: &Plan) -> filter::Config {
    let configuration = plan.balancer.as_ref().unwrap().configuration.clone();
    serde_json::from_value(configuration).unwrap()
}

/// The names of the filter's routes over one port, those without a runner-up
/// included.
fn filter_routes(
    cluster_names: &ClusterNames,
    port: u16,
    replicas: &[&str],
    runners_up: usize,
) -> Vec<String> {
    let routes = contract::routes(cluster_names, port, replicas, runners_up);
    routes.iter().map(|one| one.name().to_owned()).collect()
}

/// A list as a set, in which nothing may be twice.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut set = BTreeSet::new();
    for name in names {
        assert!(set.insert(name.to_owned()), "{name} is there twice");
    }
    set
}

#[test]
fn a_plan_defines_exactly_the_names_of_its_filter() {
    let usual = ClusterNames::default();
    let mine = ClusterNames::with_prefix("dtr/");
    let cases = (1..=40).flat_map(|replicas| [(replicas, &usual), (replicas, &mine)]);
    for (replicas, cluster_names) in cases {
        let plan = Plan::of_registry(&config(replicas), cluster_names);
        let filter = filter_config(&plan);
        assert_eq!(filter.cluster_names, *cluster_names);
        let names: Vec<&str> = filter
            .replicas
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        let of_port = |listener: &filter::Listener| {
            filter_routes(cluster_names, listener.port, &names, filter.runners_up)
        };
        let (routes, mut clusters): (BTreeSet<String>, BTreeSet<String>) =
            (filter.listeners.iter().flat_map(of_port)).partition(|name| name.contains('>'));
        for check in &filter.checks {
            clusters.extend(
                names
                    .iter()
                    .map(|name| cluster_names.probe(&check.name, name)),
            );
        }
        let pools = filter
            .listeners
            .iter()
            .map(|one| cluster_names.pool(one.port));

        let why = format!("{replicas} replicas");
        assert_eq!(
            distinct(plan.routes.iter().map(|one| one.name.as_str())),
            routes,
            "{why}"
        );
        assert_eq!(
            distinct(plan.clusters.iter().map(|one| one.name.as_str())),
            clusters,
            "{why}"
        );
        assert_eq!(
            distinct(plan.pools.iter().map(|one| one.name.as_str())),
            pools.collect(),
            "{why}"
        );
    }
}

#[test]
fn a_route_leads_where_its_name_says() {
    for replicas in 1..=40 {
        let config = config(replicas);
        let plan = Plan::of(&config);
        for cluster in &plan.clusters {
            let (service, name) = cluster.name.split_once('/').unwrap();
            let replica = config.replicas.iter().find(|one| one.name == name).unwrap();
            let check = config.checks.iter().find(|one| one.name == service);
            let port = check.map_or_else(|| service.parse().unwrap(), |check| check.port);
            assert_eq!(cluster.replica, name);
            assert_eq!(cluster.host, replica.address, "{}", cluster.name);
            assert_eq!(cluster.port, replica.port(port), "{}", cluster.name);
        }
        for route in &plan.routes {
            let ending = route.name.strip_suffix(">*");
            let (first, runner_up) = ending.unwrap_or(&route.name).split_once('>').unwrap();
            let (port, _) = first.split_once('/').unwrap();
            let ahead = [first.to_owned(), format!("{port}/{runner_up}")];
            assert_eq!(route.clusters[..2], ahead, "{}", route.name);
            let pool = plan.pools.iter().find(|one| one.name == port).unwrap();
            let tried = distinct(route.clusters.iter().map(String::as_str));
            let all = distinct(pool.clusters.iter().map(String::as_str));
            assert!(tried.is_subset(&all), "{route:?}");
            match ending {
                None => assert!(tried.len() == 2 && route.then.is_none(), "{route:?}"),
                Some(_) => assert!(
                    tried == all || route.then.as_ref() == Some(&pool.name),
                    "{route:?}"
                ),
            }
        }
    }
}

#[test]
fn any_number_of_runners_up_gives_the_routes_the_filter_may_name() {
    let cluster_names = ClusterNames::default();
    for replicas in 1..=40 {
        let list: Vec<Replica> = config(replicas).replicas;
        let names: Vec<&str> = list.iter().map(|one| one.name.as_str()).collect();
        for runners_up in 0..=replicas {
            let plan = routes(&cluster_names, 443, &list, runners_up);
            let with_runner_up = filter_routes(&cluster_names, 443, &names, runners_up)
                .into_iter()
                .filter(|name| name.contains('>'));
            assert_eq!(
                distinct(plan.iter().map(|one| one.name.as_str())),
                with_runner_up.collect(),
                "{replicas} replicas with {runners_up} runners-up"
            );
        }
    }
}

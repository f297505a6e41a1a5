//! Routes over the replicas of one port.

use dtr_lb_filter::contract::{self, ClusterNames};

use super::Route;
use crate::config::Replica;

/// How many runners-up each replica has.
pub(super) fn runners_up(replicas: usize) -> usize {
    match replicas {
        few @ 1..=EVERY_PAIR => few - 1,
        _ => RUNNERS_UP,
    }
}

/// The routes of one port: each replica first, each of its runners-up second, and
/// then, where the name says so, all the others. What the filter names without a
/// runner-up is a cluster, which needs no route.
pub(super) fn routes(
    cluster_names: &ClusterNames,
    port: u16,
    replicas: &[Replica],
    runners_up: usize,
) -> Vec<Route> {
    let clusters = clusters(cluster_names, port, replicas);
    let names: Vec<&str> = replicas.iter().map(|one| one.name.as_str()).collect();
    let every_pair = runners_up + 1 >= replicas.len();
    let route = |named: &contract::Route| {
        let ahead = [named.first(), named.runner_up()?];
        let mut order = ahead.to_vec();
        let goes_on = named.others() == contract::Others::Tried;
        if goes_on && every_pair {
            let followers = (0..clusters.len()).cycle().skip(named.first() + 1);
            let rest = followers.take(clusters.len() - 1);
            order.extend(rest.filter(|number| !ahead.contains(number)));
        }
        let order = order.into_iter();
        Some(Route {
            name: named.name().to_owned(),
            clusters: order
                .filter_map(|number| clusters.get(number).cloned())
                .collect(),
            then: (goes_on && !every_pair).then(|| cluster_names.pool(port)),
        })
    };
    let named = contract::routes(cluster_names, port, &names, runners_up);
    named.iter().filter_map(route).collect()
}

/// The clusters of one port.
pub(super) fn clusters(
    cluster_names: &ClusterNames,
    port: u16,
    replicas: &[Replica],
) -> Vec<String> {
    replicas
        .iter()
        .map(|replica| cluster_names.replica(port, &replica.name))
        .collect()
}

/// Up to this many replicas every ordered pair has a route.
const EVERY_PAIR: usize = 5;
/// Above that each replica has this many runners-up.
const RUNNERS_UP: usize = 3;

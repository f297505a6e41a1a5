//! Routes over the replicas of one port.

use super::Route;
use crate::config::Replica;

/// How many runners-up each replica has.
pub(super) fn runners_up(replicas: usize) -> usize {
    match replicas {
        few @ 1..=EVERY_PAIR => few - 1,
        _ => RUNNERS_UP,
    }
}

/// The routes of one port: each replica first, each of its runners-up second.
pub(super) fn routes(port: u16, replicas: &[Replica], runners_up: usize) -> Vec<Route> {
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

/// The clusters of one port.
pub(super) fn names(port: u16, replicas: &[Replica]) -> Vec<String> {
    let names = replicas.iter().map(|replica| named(port, &replica.name));
    names.collect()
}

/// The cluster of a replica on a port of the service, or for a check.
pub(super) fn named(what: impl std::fmt::Display, replica: &str) -> String {
    format!("{what}/{replica}")
}

/// Up to this many replicas every ordered pair has a route.
const EVERY_PAIR: usize = 8;
/// Above that each replica has this many runners-up.
const RUNNERS_UP: usize = 3;

//! The clusters of a kit, as they are at the moment.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Behaviour, Cluster, Request, refuses};

/// The clusters of a kit, by name.
#[derive(Default)]
pub(crate) struct Clusters {
    by_name: BTreeMap<String, Cluster>,
    /// All that ever were, in order, for their made-up addresses.
    names: Vec<String>,
}

impl Clusters {
    /// Adds a cluster, or replaces the one of this name.
    pub(crate) fn set(&mut self, name: &str, cluster: Cluster) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        self.by_name.insert(name.to_owned(), cluster);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// How this cluster behaves towards a TCP connection, which tries the clusters of
    /// an aggregate itself.
    pub(crate) fn connect(&self, name: &str, request: &Request) -> Option<Cluster> {
        Some(self.by_name.get(name)?.decide(request))
    }

    /// How this cluster behaves towards a request; the first of an aggregate serves
    /// it. `None`: there is no such cluster.
    pub(crate) fn serve(&self, name: &str, request: &Request) -> Option<Cluster> {
        let mut cluster = self.by_name.get(name)?.decide(request);
        for _ in 0..DEEPEST {
            let Behaviour::FirstOf(names) = &cluster.behaviour else {
                break;
            };
            let first = names.first().and_then(|name| self.by_name.get(name));
            cluster = first.map_or_else(refuses, |first| first.decide(request));
        }
        Some(cluster)
    }

    /// The clusters that a TCP connection to this one tries, in order. Empty: there is
    /// no such cluster.
    pub(crate) fn candidates(&self, name: &str) -> Vec<String> {
        let mut candidates = Vec::new();
        self.add_candidates(name, 0, &mut candidates);
        candidates
    }

    fn add_candidates(&self, name: &str, depth: usize, candidates: &mut Vec<String>) {
        match self.by_name.get(name).map(|cluster| &cluster.behaviour) {
            Some(Behaviour::FirstOf(names)) if depth < DEEPEST => {
                for name in names {
                    self.add_candidates(name, depth + 1, candidates);
                }
            }
            Some(_) if !candidates.iter().any(|known| known == name) => {
                candidates.push(name.to_owned());
            }
            _ => {}
        }
    }

    /// A cluster's host, given or made up.
    pub(crate) fn address_of(&self, name: &str, cluster: &Cluster) -> SocketAddr {
        let made_up = || {
            let found = self.names.iter().position(|known| known == name);
            let number = u16::try_from(found.unwrap_or_default() + 1).unwrap_or(u16::MAX);
            let [high, low] = number.to_be_bytes();
            SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 255, high, low)), 80)
        };
        cluster.address.unwrap_or_else(made_up)
    }
}

/// Aggregates of aggregates are followed this far; they may go in a circle.
const DEEPEST: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::{accepts, answers, first_of};
    use super::*;

    fn clusters() -> Clusters {
        let mut clusters = Clusters::default();
        clusters.set("a", accepts());
        clusters.set("b", answers(204, ""));
        clusters.set("both", first_of(["b", "a"]));
        clusters.set("nested", first_of(["both", "missing", "a"]));
        clusters.set("gone", first_of(["missing"]));
        clusters.set("circle", first_of(["circle"]));
        clusters
    }

    #[test]
    fn connections_try_every_cluster_of_an_aggregate_once() {
        let cases: [(&str, &[&str]); 5] = [
            ("a", &["a"]),
            ("nested", &["b", "a"]),
            ("gone", &[]),
            ("circle", &["circle"]),
            ("missing", &[]),
        ];
        for (name, expected) in cases {
            assert_eq!(clusters().candidates(name), expected, "{name}");
        }
    }

    #[test]
    fn requests_go_to_the_first_of_an_aggregate() {
        let cases = [
            ("a", Some("answers 200")),
            ("nested", Some("answers 204")),
            ("gone", Some("refuses")),
            ("circle", Some("first of circle")),
            ("missing", None),
        ];
        for (name, expected) in cases {
            let served = clusters().serve(name, &Request::default());
            let served = served.map(|cluster| format!("{cluster:?}"));
            assert_eq!(served.as_deref(), expected, "{name}");
        }
    }
}

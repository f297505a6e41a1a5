//! The clusters of a kit, as they are at the moment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::cluster::{Behaviour, Cluster, Request};
use crate::simulator::Simulator;

impl Simulator {
    pub(crate) fn set_cluster(&mut self, name: &str, cluster: Cluster) {
        self.kit_state.add_cluster(name);
        if !self.addresses.iter().any(|known| known == name) {
            self.addresses.push(name.to_owned());
        }
        self.clusters.insert(name.to_owned(), cluster);
    }

    pub(crate) fn remove_cluster(&mut self, name: &str) {
        self.kit_state.remove_cluster(name);
        self.clusters.remove(name);
    }

    /// A cluster's host, given or made up.
    pub(crate) fn address_of(&self, name: &str, cluster: &Cluster) -> SocketAddr {
        let made_up = || {
            let found = self.addresses.iter().position(|known| known == name);
            let number = u16::try_from(found.unwrap_or_default() + 1).unwrap_or(u16::MAX);
            let [high, low] = number.to_be_bytes();
            SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 255, high, low)), 80)
        };
        cluster.address.unwrap_or_else(made_up)
    }

    /// The proxy's end of a connection upstream, made up.
    pub(crate) fn local_address(&self, key: usize) -> SocketAddr {
        let port = u16::try_from(40_000 + key % 20_000).unwrap_or(40_000);
        SocketAddr::from(([10, 254, 0, 1], port))
    }

    /// How the next call to this cluster goes; `None`: there is no such cluster.
    pub(crate) fn behaviour(&mut self, name: &str, request: &Request) -> Option<Cluster> {
        if let Some(fault) = self.call_faults.call() {
            return Some(fault.decide(request));
        }
        self.decided(name, request, 0)
    }

    fn decided(&self, name: &str, request: &Request, depth: usize) -> Option<Cluster> {
        let cluster = self.clusters.get(name)?.decide(request);
        match &cluster.behaviour {
            Behaviour::FirstOf(clusters) if depth < 8 => {
                self.decided(clusters.first()?, request, depth + 1)
            }
            _ => Some(cluster),
        }
    }
}

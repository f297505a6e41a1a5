//! Where questions go: clusters as the balancer has them, one for each address.

use std::time::Duration;

use dtr_lb_filter::contract::ClusterNames;

use super::place::Place;
use crate::config::{Config, Verify};
use crate::error::StartError;
use crate::plan::{Cluster, Plan};
use crate::upstream::cluster::Clusters;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::resolver::{Lookup, Resolver};

/// How a port is spoken with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Through {
    /// As the check of this name does.
    Check(String),
    /// In the clear, whatever the check does.
    Clear,
    /// Over TLS with a certificate of anybody's: to read it, never to trust it.
    AnyTls,
}

/// Every port of every place, however it is spoken with.
pub(super) struct Targets {
    clusters: Clusters,
    /// The registry's name.
    pub(super) fqdn: String,
    /// How long a request may take.
    pub(super) limit: Duration,
}

impl Targets {
    /// # Errors
    /// A CA file that can't be read.
    pub(super) fn of(
        config: &Config,
        places: &[Place],
        lookup: &Lookup,
    ) -> Result<Targets, StartError> {
        let mut plan = Plan::of(config);
        let mut clusters = Vec::new();
        for (at, place) in places.iter().enumerate() {
            let Some(replica) = config.replicas.get(place.replica) else {
                continue;
            };
            for check in &config.checks {
                let planned = ClusterNames::default().probe(&check.name, &replica.name);
                let Some(probed) = plan.clusters.iter().find(|it| it.name == planned) else {
                    continue;
                };
                let through = Through::Check(check.name.clone());
                let here = Cluster {
                    name: name(at, check.port, &through),
                    host: place.address.clone(),
                    ..probed.clone()
                };
                let listened = config.listeners.iter().map(|listener| listener.port);
                for port in listened.chain([check.port]) {
                    for (through, tls) in [
                        (Through::Clear, None),
                        (Through::AnyTls, Some(Verify::None)),
                    ] {
                        clusters.push(Cluster {
                            name: name(at, port, &through),
                            port: replica.port(port),
                            proxy_protocol: config.proxy_protocol(replica, port),
                            tls,
                            ..here.clone()
                        });
                    }
                }
                clusters.push(here);
            }
        }
        clusters.sort_by(|one, other| one.name.cmp(&other.name));
        clusters.dedup_by(|one, other| one.name == other.name);
        plan.clusters = clusters;
        plan.pools.clear();
        plan.routes.clear();
        // It has addresses only, and a name that has none.
        let mut resolver = Resolver::new(lookup.clone());
        Ok(Targets {
            clusters: Clusters::of(&plan, &mut resolver)?,
            fqdn: config.fqdn.clone(),
            limit: config.health.timeout,
        })
    }

    pub(super) fn endpoint(&self, place: usize, port: u16, through: &Through) -> Option<&Endpoint> {
        self.clusters.only_endpoint(&name(place, port, through))
    }
}

fn name(place: usize, port: u16, through: &Through) -> String {
    match through {
        Through::Check(check) => format!("{place}/{port}/check/{check}"),
        Through::Clear => format!("{place}/{port}/clear"),
        Through::AnyTls => format!("{place}/{port}/tls"),
    }
}

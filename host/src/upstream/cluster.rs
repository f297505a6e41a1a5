//! Where connections may go, by the names the filter uses.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::error::StartError;
use crate::metrics::TrafficNames;
use crate::plan::Plan;
use crate::upstream::endpoint::{Endpoint, EndpointParts, OwnListeners};
use crate::upstream::resolver::Resolver;
use crate::upstream::shown_certificate::CertificateExpiry;
use crate::upstream::tls;

/// Every cluster, route and pool of a plan; the same for all workers.
pub(crate) struct Clusters {
    endpoints: Vec<Endpoint>,
    /// 0, 1, 2 ...: the order of a single cluster is a slice of it.
    indices: Vec<usize>,
    names: Names,
    routes: Vec<Route>,
    pools: Vec<Vec<usize>>,
    own_listeners: OwnListeners,
    /// What traffic is counted by.
    pub(crate) traffic_names: Arc<TrafficNames>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Cluster(usize),
    Route(usize),
    Pool(usize),
}

impl Target {
    /// Whether there may be another endpoint than the first.
    pub(crate) fn has_several(self) -> bool {
        !matches!(self, Target::Cluster(_))
    }
}

struct Route {
    clusters: Vec<usize>,
    then: Option<usize>,
}

impl Clusters {
    /// # Errors
    /// A name that is used twice or stands for nothing, or a CA file that can't be read.
    pub(crate) fn of(plan: &Plan, resolver: &mut Resolver) -> Result<Clusters, StartError> {
        let mut names = Names::default();
        let own_listeners = OwnListeners::default();
        let ports = plan.listeners.iter().map(|listener| listener.port);
        let replicas = plan.clusters.iter().map(|cluster| cluster.replica.as_str());
        let traffic_names = TrafficNames::new(ports, replicas);
        let mut parts = EndpointParts {
            tls: tls::Configs::default(),
            resolver,
            traffic_names: &traffic_names,
            own_listeners: &own_listeners,
        };
        let mut endpoints = Vec::with_capacity(plan.clusters.len());
        for (at, cluster) in plan.clusters.iter().enumerate() {
            names.add(&cluster.name, Target::Cluster(at))?;
            endpoints.push(Endpoint::of(cluster, &mut parts)?);
        }
        for (at, pool) in plan.pools.iter().enumerate() {
            names.add(&pool.name, Target::Pool(at))?;
        }
        for (at, route) in plan.routes.iter().enumerate() {
            names.add(&route.name, Target::Route(at))?;
        }
        let pools = plan.pools.iter().map(|pool| names.clusters(&pool.clusters));
        let pools = pools.collect::<Result<_, _>>()?;
        let routes = plan.routes.iter().map(|route| {
            Ok(Route {
                clusters: names.clusters(&route.clusters)?,
                then: route
                    .then
                    .as_ref()
                    .map(|then| names.pool(then))
                    .transpose()?,
            })
        });
        let routes = routes.collect::<Result<_, StartError>>()?;
        Ok(Clusters {
            indices: (0..endpoints.len()).collect(),
            endpoints,
            names,
            routes,
            pools,
            own_listeners,
            traffic_names: Arc::new(traffic_names),
        })
    }

    /// Sees to it that nothing connects to where the host itself listens.
    ///
    /// # Errors
    /// When the fixed address of an endpoint is there.
    pub(crate) fn refuse_loops(&self, own: Vec<SocketAddr>) -> Result<(), StartError> {
        for endpoint in &self.endpoints {
            endpoint.refuse_loop(&own)?;
        }
        // Set once, before anybody connects.
        let _ = self.own_listeners.set(own);
        Ok(())
    }

    /// Goes on with what is known of the certificates of replicas that were there before.
    pub(crate) fn take_over(&self, earlier: &Clusters) {
        let probed = |endpoint: &Endpoint| {
            let shown = endpoint.shown_certificate.as_ref()?;
            Some((Arc::clone(&endpoint.replica), Arc::clone(&shown.check)))
        };
        let known = earlier.endpoints.iter();
        let known: HashMap<_, _> = known
            .filter_map(|endpoint| Some((probed(endpoint)?, endpoint.shown_certificate.as_ref()?)))
            .collect();
        for endpoint in &self.endpoints {
            let before = probed(endpoint).and_then(|probed| known.get(&probed));
            if let (Some(shown), Some(before)) = (&endpoint.shown_certificate, before) {
                shown.take_over(before);
            }
        }
    }

    /// Until when the certificates are valid that replicas showed to their checks.
    pub(crate) fn certificate_expiries(&self) -> impl Iterator<Item = CertificateExpiry> {
        (self.endpoints.iter()).filter_map(Endpoint::certificate_expiry)
    }

    pub(crate) fn target(&self, name: &str) -> Option<Target> {
        self.names.0.get(name).copied()
    }

    /// Where a filter's call to this name goes.
    pub(crate) fn endpoint<'a>(
        &'a self,
        name: &str,
        turns: &'a RoundRobin,
    ) -> Option<&'a Endpoint> {
        self.in_order(self.target(name)?, turns).next()
    }

    /// The endpoint of a cluster; pools and routes have several.
    pub(crate) fn only_endpoint(&self, name: &str) -> Option<&Endpoint> {
        match self.target(name)? {
            Target::Cluster(at) => self.endpoints.get(at),
            Target::Route(_) | Target::Pool(_) => None,
        }
    }

    /// Each pool at its first member; every worker has its own.
    pub(crate) fn turns(&self) -> RoundRobin {
        RoundRobin(self.pools.iter().map(|_| Cell::new(0)).collect())
    }

    /// The endpoints to try for a target, each once, best first.
    pub(crate) fn in_order<'a>(
        &'a self,
        target: Target,
        turns: &'a RoundRobin,
    ) -> impl Iterator<Item = &'a Endpoint> + 'a {
        let (first, pool) = match target {
            Target::Cluster(at) => (self.indices.get(at..=at), None),
            Target::Pool(at) => (None, Some(at)),
            Target::Route(at) => match self.routes.get(at) {
                Some(route) => (Some(&route.clusters[..]), route.then),
                None => (None, None),
            },
        };
        let first = first.unwrap_or_default();
        // Lazy: only an order that gets as far as the pool takes a turn.
        let rest = pool.into_iter().flat_map(|at| self.take_turn(at, turns));
        let rest = rest.filter(|at| !first.contains(at));
        first
            .iter()
            .chain(rest)
            .filter_map(|at| self.endpoints.get(*at))
    }

    /// A pool's members, beginning with the next in turn.
    fn take_turn<'a>(&'a self, pool: usize, turns: &RoundRobin) -> impl Iterator<Item = &'a usize> {
        let members = self.pools.get(pool).map(Vec::as_slice).unwrap_or_default();
        let start = match turns.0.get(pool) {
            Some(turn) if !members.is_empty() => turn.replace((turn.get() + 1) % members.len()),
            _ => 0,
        };
        members[start..].iter().chain(&members[..start])
    }
}

/// The next member of each pool.
pub(crate) struct RoundRobin(Vec<Cell<usize>>);

/// What each name stands for.
#[derive(Default)]
struct Names(HashMap<String, Target, RandomState>);

impl Names {
    fn add(&mut self, name: &str, target: Target) -> Result<(), StartError> {
        match self.0.insert(name.to_owned(), target) {
            None => Ok(()),
            Some(_) => Err(StartError::NameTwice(name.to_owned())),
        }
    }

    fn clusters(&self, names: &[String]) -> Result<Vec<usize>, StartError> {
        let cluster = |name: &String| match self.0.get(name) {
            Some(Target::Cluster(at)) => Ok(*at),
            _ => Err(StartError::NoSuchName(name.clone())),
        };
        names.iter().map(cluster).collect()
    }

    fn pool(&self, name: &str) -> Result<usize, StartError> {
        match self.0.get(name) {
            Some(Target::Pool(at)) => Ok(*at),
            _ => Err(StartError::NoSuchName(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;

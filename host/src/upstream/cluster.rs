//! Where connections may go, by the names the filter uses.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::json;

use crate::error::StartError;
use crate::plan::{self, Plan};
use crate::upstream::resolver::{Name, Resolver};
use crate::upstream::tls;

/// Every cluster, route and pool of a plan; the same for all workers.
pub(crate) struct Clusters {
    endpoints: Vec<Endpoint>,
    /// 0, 1, 2 ...: of which one cluster's order is a slice.
    indices: Vec<usize>,
    names: HashMap<String, Target>,
    routes: Vec<Route>,
    pools: Vec<Vec<usize>>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Cluster(usize),
    Route(usize),
    Pool(usize),
}

struct Route {
    clusters: Vec<usize>,
    then: Option<usize>,
}

/// One replica's port.
pub(crate) struct Endpoint {
    pub(crate) cluster: Arc<str>,
    pub(crate) replica: Arc<str>,
    /// What the filter reads as `xds.upstream_host_metadata`.
    pub(crate) metadata: Arc<serde_json::Value>,
    pub(crate) connect_timeout: Duration,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) protocol: plan::Protocol,
    host: Addresses,
    port: u16,
}

enum Addresses {
    Fixed(IpAddr),
    Named(Arc<Name>),
}

impl Endpoint {
    /// Its addresses as they are known now, in the resolver's order.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        let (fixed, named) = match &self.host {
            Addresses::Fixed(ip) => (Some(*ip), None),
            Addresses::Named(name) => (None, Some(name.addresses())),
        };
        let port = self.port;
        let mut next = 0;
        let named = std::iter::from_fn(move || {
            let ip = named.as_ref()?.get(next).copied();
            next += 1;
            ip
        });
        fixed
            .into_iter()
            .chain(named)
            .map(move |ip| SocketAddr::new(ip, port))
    }
}

impl Clusters {
    /// # Errors
    /// A name that is used twice or stands for nothing, or a CA file that can't be read.
    pub(crate) fn of(plan: &Plan, resolver: &mut Resolver) -> Result<Clusters, StartError> {
        let mut names = HashMap::new();
        let mut name = |name: &str, target| match names.insert(name.to_owned(), target) {
            None => Ok(()),
            Some(_) => Err(StartError::NameTwice(name.to_owned())),
        };
        let mut tls = tls::Configs::default();
        let mut endpoints = Vec::with_capacity(plan.clusters.len());
        for (at, cluster) in plan.clusters.iter().enumerate() {
            name(&cluster.name, Target::Cluster(at))?;
            endpoints.push(Endpoint {
                cluster: cluster
                    .part_of
                    .as_ref()
                    .unwrap_or(&cluster.name)
                    .as_str()
                    .into(),
                replica: cluster.replica.as_str().into(),
                metadata: Arc::new(json!({"filter_metadata": {"dtr": {"name": cluster.replica}}})),
                connect_timeout: cluster.connect_timeout,
                tls: cluster
                    .tls
                    .as_ref()
                    .map(|verify| tls.config(verify, cluster.protocol))
                    .transpose()?,
                protocol: cluster.protocol,
                host: match &cluster.host {
                    plan::Host::Ip(ip) => Addresses::Fixed(*ip),
                    plan::Host::Name(host) => Addresses::Named(resolver.name(host)),
                },
                port: cluster.port,
            });
        }
        for (at, pool) in plan.pools.iter().enumerate() {
            name(&pool.name, Target::Pool(at))?;
        }
        for (at, route) in plan.routes.iter().enumerate() {
            name(&route.name, Target::Route(at))?;
        }
        let cluster = |wanted: &String| match names.get(wanted) {
            Some(Target::Cluster(at)) => Ok(*at),
            _ => Err(StartError::NoSuchName(wanted.clone())),
        };
        let pool = |wanted: &String| match names.get(wanted) {
            Some(Target::Pool(at)) => Ok(*at),
            _ => Err(StartError::NoSuchName(wanted.clone())),
        };
        let pools = plan
            .pools
            .iter()
            .map(|pool| pool.clusters.iter().map(cluster).collect())
            .collect::<Result<_, _>>()?;
        let routes = plan
            .routes
            .iter()
            .map(|route| {
                let clusters = route
                    .clusters
                    .iter()
                    .map(cluster)
                    .collect::<Result<_, _>>()?;
                Ok(Route {
                    clusters,
                    then: route.then.as_ref().map(pool).transpose()?,
                })
            })
            .collect::<Result<_, StartError>>()?;
        let indices = (0..endpoints.len()).collect();
        Ok(Clusters {
            endpoints,
            indices,
            names,
            routes,
            pools,
        })
    }

    pub(crate) fn target(&self, name: &str) -> Option<Target> {
        self.names.get(name).copied()
    }

    /// Whom a guest's call to this name goes to.
    pub(crate) fn endpoint<'a>(
        &'a self,
        name: &str,
        turns: &'a RoundRobin,
    ) -> Option<&'a Endpoint> {
        self.in_order(self.target(name)?, turns).next()
    }

    /// Whose turn it is in each pool; one per worker.
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
        // Taken only by those who get as far as the pool.
        let rest = pool.into_iter().flat_map(|at| self.take_turn(at, turns));
        let rest = rest.filter(|at| !first.contains(at));
        first
            .iter()
            .chain(rest)
            .filter_map(|at| self.endpoints.get(*at))
    }

    /// A pool's members, beginning with the one whose turn it is.
    fn take_turn<'a>(&'a self, pool: usize, turns: &RoundRobin) -> impl Iterator<Item = &'a usize> {
        let members = self.pools.get(pool).map(Vec::as_slice).unwrap_or_default();
        let start = match turns.0.get(pool) {
            Some(turn) if !members.is_empty() => turn.replace((turn.get() + 1) % members.len()),
            _ => 0,
        };
        members[start..].iter().chain(&members[..start])
    }
}

/// Whose turn it is in each pool.
pub(crate) struct RoundRobin(Vec<Cell<usize>>);

#[cfg(test)]
mod tests;

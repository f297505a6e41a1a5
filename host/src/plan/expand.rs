//! From the operator's configuration to a plan.

use std::collections::BTreeSet;
use std::time::Duration;

use dtr_lb_filter::contract::{self, ClusterNames};

use super::filter_config::filter_configuration;
use super::routes::{clusters, routes, runners_up};
use super::services;
use super::{
    Admin, AskedReplica, Balancer, Cluster, ClusterStatus, Listener, Plan, Pool, Protocol,
};
use crate::config::{self, Chain, ChainCluster, Config, ConfigFile};

impl Plan {
    /// The plan of a configuration file.
    #[must_use]
    pub fn of_file(file: &ConfigFile) -> Self {
        Self::with_names(file, &ClusterNames::default())
    }

    /// The same with other names of a balancer's clusters.
    #[must_use]
    pub fn with_names(file: &ConfigFile, names: &ClusterNames) -> Self {
        match file {
            ConfigFile::Balancer(config) => Self::of_registry(config, names),
            ConfigFile::Services(services) => services::plan(services, names),
            ConfigFile::Chain(chain) => Self::of_chain(chain),
        }
    }

    /// The plan of the balancer's configuration.
    ///
    /// Every replica gets a cluster for each port of the service and for each
    /// check, and routes that name its runners-up: for each pair one that ends
    /// there, and one that goes on with all the others. Up to five replicas
    /// every ordered pair has them; above that a replica has three runners-up
    /// (the next ones of the list, which is a ring) and the others are the pool,
    /// so that the number of routes grows no faster than the number of replicas.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self::of_registry(config, &ClusterNames::default())
    }

    pub(super) fn of_registry(config: &Config, names: &ClusterNames) -> Self {
        let names = &names.of_service(config.service_name());
        let runners_up = runners_up(config.replicas.len());
        let ports: BTreeSet<u16> = config.listeners.iter().map(|one| one.port).collect();
        let traffic = ports.iter().flat_map(|port| {
            config.replicas.iter().map(move |replica| Cluster {
                name: names.replica(*port, &replica.name),
                part_of: None,
                replica: replica.name.clone(),
                check: None,
                host: replica.address.clone(),
                port: replica.port(*port),
                tls: None,
                proxy_protocol: config.proxy_protocol(replica, *port),
                protocol: Protocol::Http1,
                connect_timeout: config.connect_timeout,
            })
        });
        let probes = config.checks.iter().flat_map(|check| {
            config.replicas.iter().map(move |replica| Cluster {
                name: names.probe(&check.name, &replica.name),
                part_of: None,
                replica: replica.name.clone(),
                check: Some(check.name.clone()),
                host: replica.address.clone(),
                port: replica.port(check.port),
                tls: check.tls.clone(),
                proxy_protocol: config.proxy_protocol(replica, check.port),
                protocol: Protocol::Http1,
                connect_timeout: probe_connect_timeout(config.health.timeout),
            })
        });
        Self {
            listeners: config
                .listeners
                .iter()
                .map(|one| listener(one, config, names))
                .collect(),
            clusters: traffic.chain(probes).collect(),
            routes: ports
                .iter()
                .flat_map(|port| routes(names, *port, &config.replicas, runners_up))
                .collect(),
            pools: ports
                .iter()
                .map(|port| Pool {
                    name: names.pool(*port),
                    clusters: clusters(names, *port, &config.replicas),
                })
                .collect(),
            network_filters: config.filters.clone(),
            balancer: Some(Balancer {
                vm_id: contract::VM_ID.to_owned(),
                configuration: filter_configuration(config, names, runners_up),
            }),
            admin: config.admin.as_ref().map(Admin::from),
            state_dir: config.state_dir.clone(),
            services: None,
            cluster_statuses: cluster_status(config, names).into_iter().collect(),
            max_connections: config.max_connections,
            trusted_proxies: config.trusted_proxies.clone(),
            drain_delay: config.drain_delay,
            drain_timeout: config.drain_timeout,
            dns_refresh: config.dns_refresh,
        }
    }

    /// The plan of a chain of filters. A cluster of one endpoint is a cluster of
    /// the plan; one of several is a pool of them.
    #[must_use]
    pub fn of_chain(chain: &Chain) -> Self {
        let several = chain.clusters.iter().filter(|one| one.endpoints.len() > 1);
        Self {
            listeners: chain
                .listeners
                .iter()
                .map(|one| Listener {
                    bind: one.bind,
                    port: one.bind.port(),
                    fallback: one.cluster.clone(),
                    service_fallbacks: Vec::new(),
                    idle_timeout: chain.idle_timeout,
                    resend_first_flight: chain.resend_first_flight,
                    half_close_timeout: chain.half_close_timeout,
                    max_connections: one.max_connections,
                    proxy_protocol: None,
                })
                .collect(),
            clusters: chain.clusters.iter().flat_map(endpoints).collect(),
            routes: Vec::new(),
            pools: several
                .map(|one| Pool {
                    name: one.name.clone(),
                    clusters: endpoints(one).into_iter().map(|each| each.name).collect(),
                })
                .collect(),
            network_filters: chain.filters.clone(),
            balancer: None,
            admin: chain.admin.as_ref().map(Admin::from),
            state_dir: None,
            services: None,
            cluster_statuses: Vec::new(),
            max_connections: chain.max_connections,
            trusted_proxies: None,
            drain_delay: chain.drain_delay,
            drain_timeout: chain.drain_timeout,
            dns_refresh: chain.dns_refresh,
        }
    }
}

/// Each replica is asked where the check probes it that may carry the password.
fn cluster_status(config: &Config, names: &ClusterNames) -> Option<ClusterStatus> {
    let configured = config.cluster_status.as_ref()?;
    let check = config.check_for_password(configured.trust).ok()?;
    let replicas = config.replicas.iter().map(|replica| AskedReplica {
        name: replica.name.clone(),
        id: replica.id.clone(),
        cluster: names.probe(&check.name, &replica.name),
    });
    Some(ClusterStatus {
        service: config.service_name().map(str::to_owned),
        fqdn: config.fqdn.clone(),
        interval: configured.interval,
        credentials: configured.credentials.clone(),
        replicas: replicas.collect(),
    })
}

/// One cluster of the plan for each endpoint of a chain's cluster.
fn endpoints(cluster: &ChainCluster) -> Vec<Cluster> {
    let several = cluster.endpoints.len() > 1;
    let endpoints = cluster.endpoints.iter().enumerate();
    endpoints
        .map(|(index, endpoint)| Cluster {
            name: match several {
                true => format!("{}[{index}]", cluster.name),
                false => cluster.name.clone(),
            },
            part_of: several.then(|| cluster.name.clone()),
            replica: endpoint.to_string(),
            check: None,
            host: endpoint.address.clone(),
            port: endpoint.port,
            tls: cluster.tls.clone(),
            proxy_protocol: None,
            protocol: cluster.protocol,
            connect_timeout: cluster.connect_timeout,
        })
        .collect()
}

/// A little shorter than the probe: Envoy hands a connection that is still being
/// opened when its probe is over to the next one, which then fails for no fault of
/// its own. And a `tcp` check, for which a replica that accepts and sends nothing is
/// healthy, would take a black hole for one.
fn probe_connect_timeout(probe: Duration) -> Duration {
    (probe * 9 / 10).max(Duration::from_millis(1))
}

fn listener(listener: &config::Listener, config: &Config, names: &ClusterNames) -> Listener {
    Listener {
        bind: listener.bind,
        port: listener.port,
        fallback: names.pool(listener.port),
        service_fallbacks: Vec::new(),
        idle_timeout: config.idle_timeout,
        resend_first_flight: config.resend_first_flight,
        half_close_timeout: config.half_close_timeout,
        max_connections: listener.max_connections,
        proxy_protocol: listener.proxy_protocol,
    }
}

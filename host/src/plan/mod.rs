//! What a configuration expands to: listeners, clusters, and the filter's own
//! configuration. The host runs a plan, `dtr-lb envoy` writes it as a bootstrap, so
//! that both do the same.

#[cfg(test)]
mod contract_tests;
mod expand;
mod filter_config;
#[cfg(test)]
pub(crate) mod fixture;
mod routes;
mod services;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use dtr_lb_filter::contract::{ADMIN_ROOT, ServerNames, VM_ID, listener_root};

pub use crate::cluster_status::Credentials;
use crate::config;
pub use crate::config::{
    Address, AdminTls, Failure, NetworkFilter, Networks, Protocol, ProxyProtocol, TrustedProxies,
    Verify, VmSettings,
};

/// Everything a host needs to balance.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Where connections are accepted.
    pub listeners: Vec<Listener>,
    /// One endpoint each: a replica's port, or the target of a replica's probes.
    pub clusters: Vec<Cluster>,
    /// Clusters in order of preference, such as `443/r1>r3>*`.
    pub routes: Vec<Route>,
    /// All replicas of one port, taken in turn: where connections go when no
    /// filter is there to choose.
    pub pools: Vec<Pool>,
    /// Filters that others wrote, in the order connections meet them.
    pub network_filters: Vec<NetworkFilter>,
    /// The balancer itself, the last filter of the chain; `None`: connections go
    /// where the others steer them, or to the listener's fallback.
    pub balancer: Option<Balancer>,
    /// Where the page, the API and the metrics are served.
    pub admin: Option<Admin>,
    /// The folder in which orders are kept for the next start; `None`: they end with the
    /// process. The standalone host's alone.
    pub state_dir: Option<PathBuf>,
    /// How connections say which of several services they are for; `None`: there is one
    /// registry, or none.
    pub services: Option<Services>,
    /// How registries are asked for their own word on their replicas. The standalone
    /// host's alone.
    pub cluster_statuses: Vec<ClusterStatus>,
    /// At most this many clients' connections at once, 1 to 1000000; `None`: as many
    /// as the process may open files for.
    pub max_connections: Option<u32>,
    /// Who says by the PROXY protocol who its clients are; `None`: nobody, and nothing is
    /// looked at.
    pub trusted_proxies: Option<TrustedProxies>,
    /// How long connections are still accepted after SIGTERM, while `/ready` and
    /// `/_ping` say 503 already.
    pub drain_delay: Duration,
    /// How long open connections may go on then.
    pub drain_timeout: Duration,
    /// How often DNS names are resolved again.
    pub dns_refresh: Duration,
}

impl Plan {
    /// Whether it holds the token that allows changes, which is nobody's but the
    /// operator's.
    #[must_use]
    pub fn has_token(&self) -> bool {
        let balancer = self.balancer.as_ref();
        let first = balancer.and_then(|balancer| balancer.registries().first());
        first.is_some_and(|registry| registry["admin"]["token"].is_string())
    }

    /// Has the balancer show the limit of connections that holds where it runs.
    pub(crate) fn show_limit(&mut self, connections: usize) {
        if let Some(balancer) = &mut self.balancer {
            balancer.set("max_connections", &connections.into());
        }
    }
}

/// How connections say which of several services they are for.
#[derive(Clone, Debug)]
pub struct Services {
    /// Never empty.
    pub names: Vec<String>,
    /// What clients ask for: the place of a service among the names.
    pub by_name: ServerNames<usize>,
    /// The place of the one for clients that ask for none of them, or for nothing.
    pub default: usize,
    /// How long a client may take to ask.
    pub hello_timeout: Duration,
}

/// How a registry is asked for its own word on its replicas.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// Which of several services it is; `None`: it is the only registry.
    pub service: Option<String>,
    /// The registry's name.
    pub fqdn: String,
    /// How often each replica is asked.
    pub interval: Duration,
    /// Who asks.
    pub credentials: Credentials,
    /// Who is asked.
    pub replicas: Vec<AskedReplica>,
}

/// A replica that is asked how the cluster is.
#[derive(Clone, Debug)]
pub struct AskedReplica {
    /// Its name here.
    pub name: String,
    /// Its id in the registry; `None`: not known.
    pub id: Option<String>,
    /// The [`Cluster`] through which it is asked.
    pub cluster: String,
}

/// One address where connections are accepted.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The address to listen on; port 0 means any free port.
    pub bind: SocketAddr,
    /// The service's port: the one that names the routes, and the filter's plugin
    /// that chooses among them.
    pub port: u16,
    /// The [`Pool`] or [`Cluster`] that serves when no filter steers; of several services
    /// the default one's.
    pub fallback: String,
    /// The pool of each of several services, in their order; none: there is one registry.
    pub service_fallbacks: Vec<String>,
    /// How long a connection may be silent both ways; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// Whether what a client sent first goes to another replica when the one that
    /// accepted ends before its first byte. The standalone host's alone.
    pub resend_first_flight: bool,
    /// How long one side may be silent once the other has finished.
    pub half_close_timeout: Duration,
    /// At most this many clients' connections here at once, 1 to 1000000; `None`: no
    /// limit of its own.
    pub max_connections: Option<u32>,
    /// In which version replicas are sent a PROXY header; `None`: they are not.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// A name for one endpoint: `443/r1` for traffic, `ping/r1` for probes.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Unique among clusters, routes and pools.
    pub name: String,
    /// The cluster it is one of several endpoints of, as filters know it; `None`:
    /// it is a cluster of its own.
    pub part_of: Option<String>,
    /// The replica this is an endpoint of; given to the filter as
    /// `xds.upstream_host_metadata.filter_metadata.dtr.name`.
    pub replica: String,
    /// The check that probes the replica through it; `None`: it is for traffic, or for
    /// filters that others wrote.
    pub check: Option<String>,
    /// Where it is.
    pub host: Address,
    /// Its port there.
    pub port: u16,
    /// TLS towards it (probes only: traffic is never touched).
    pub tls: Option<Verify>,
    /// What each connection to it begins with; `None`: nothing of ours.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// What the filters' HTTP calls speak with it.
    pub protocol: Protocol,
    /// How long one connect attempt may take.
    pub connect_timeout: Duration,
}

/// Clusters in order: the next is tried when a connect attempt fails.
#[derive(Clone, Debug)]
pub struct Route {
    /// Such as `443/r1>r3>*`.
    pub name: String,
    /// Names of clusters; never empty.
    pub clusters: Vec<String>,
    /// The [`Pool`] tried after the last of them.
    pub then: Option<String>,
}

/// Clusters taken in turn.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Such as `443`.
    pub name: String,
    /// Names of clusters; never empty.
    pub clusters: Vec<String>,
}

/// The balancer's plugins: one for each of the service's ports, one for the admin
/// listener, all in one VM.
#[derive(Clone, Debug)]
pub struct Balancer {
    /// VMs of one id share their data.
    pub vm_id: String,
    /// Handed to all the filter's roots alike, as JSON: a
    /// [`PluginConfig`](dtr_lb_filter::config::PluginConfig).
    pub configuration: serde_json::Value,
}

impl Balancer {
    /// Sets a field that is the same for all registries.
    pub(crate) fn set(&mut self, field: &str, value: &serde_json::Value) {
        let set = |registry: &mut serde_json::Value| {
            if let serde_json::Value::Object(fields) = registry {
                fields.insert(field.to_owned(), value.clone());
            }
        };
        match self.configuration.get_mut("services") {
            Some(serde_json::Value::Array(registries)) => registries.iter_mut().for_each(set),
            _ => set(&mut self.configuration),
        }
    }

    /// The configuration of each registry.
    fn registries(&self) -> &[serde_json::Value] {
        match self.configuration.get("services") {
            Some(serde_json::Value::Array(registries)) => registries,
            _ => std::slice::from_ref(&self.configuration),
        }
    }
}

/// The admin listener.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The address to listen on; port 0 means any free port.
    pub bind: SocketAddr,
    /// Who may see and change what there.
    pub access: dtr_lb_filter::config::Admin,
    /// What clients are shown; `None`: they speak in the clear.
    pub tls: Option<AdminTls>,
}

impl From<&config::Admin> for Admin {
    fn from(admin: &config::Admin) -> Admin {
        Admin {
            bind: admin.bind,
            access: admin.access(),
            tls: admin.tls.clone(),
        }
    }
}

//! The balancer's configuration: replicas, where clients reach them, and how they
//! are probed.

mod check_builder;
mod check_spec;
mod cluster_status;
mod discover;
mod file;
mod preset;
mod replicas;
mod validate;
mod warnings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::clients::Networks;
use dtr_lb_filter::config::{CheckKind, OnDown, Policy, Service, Start, WhenAllDown};

use super::address::Address;
use super::admin::Admin;
use super::network_filter::NetworkFilter;
use super::proxy_protocol::{ProxyProtocol, TrustedProxies};
use super::source::Source;
use super::verify::Verify;
use super::warning::ConfigWarning;

pub use cluster_status::{ClusterStatus, Trust};
pub use discover::Discover;
pub(crate) use discover::is_srv;
pub(super) use file::File;
pub(super) use validate::validate;

/// What the operator wants, defaults filled in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Which of several services it is; `None`: it is the only registry.
    pub service: Option<Service>,
    /// The name clients use: `Host` and SNI of the probes.
    pub fqdn: String,
    /// In the operator's order; never empty, names unique.
    pub replicas: Vec<Replica>,
    /// Never empty.
    pub listeners: Vec<Listener>,
    /// How one of several usable replicas is chosen.
    pub policy: Policy,
    /// What happens to a connection when no replica is usable.
    pub when_all_down: WhenAllDown,
    /// What happens to the connections of a replica that turns unhealthy.
    pub on_down: OnDown,
    /// The balancer's own `/_ping` answers 200 while this many replicas are usable.
    pub min_healthy: u32,
    /// A recovered replica's share grows to its weight within this time; zero: at once.
    pub slow_start: Duration,
    /// When connect failures of real connections take a replica out.
    pub passive: Passive,
    /// The health checks of the listeners; never empty, names unique.
    pub checks: Vec<Check>,
    /// When replicas are probed, and how responses add up.
    pub health: Health,
    /// How often the replicas are compared with each other.
    pub compare_interval: Duration,
    /// How the registry is asked for its own word on its replicas; `None`: it is not.
    pub cluster_status: Option<ClusterStatus>,
    /// Where the page, the API and the metrics are served; `None`: they are not.
    pub admin: Option<Admin>,
    /// The folder in which orders are kept for the next start; `None`: they end with the
    /// process. The standalone host's alone.
    pub state_dir: Option<PathBuf>,
    /// The Unix socket on which the process waits for the one that takes its place; `None`:
    /// the configuration names none. The standalone host's alone.
    pub takeover_socket: Option<PathBuf>,
    /// Whether a change of the file is taken over at once. The standalone host's alone.
    pub watch: bool,
    /// Filters that others wrote, which connections meet before the balancer.
    pub filters: Vec<NetworkFilter>,
    /// How long one connect attempt to a replica may take.
    pub connect_timeout: Duration,
    /// How long a connection may be silent both ways; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// Whether what a client sent first goes to another replica when the one that
    /// accepted ends before its first byte. The standalone host's alone.
    pub resend_first_flight: bool,
    /// How long one side may be silent once the other has finished.
    pub half_close_timeout: Duration,
    /// At most this many clients' connections at once, 1 to 1000000; `None`: as many
    /// as the process may open files for.
    pub max_connections: Option<u32>,
    /// Who says by the PROXY protocol who its clients are; `None`: nobody, and nothing is
    /// looked at.
    pub trusted_proxies: Option<TrustedProxies>,
    /// Clients from here may connect; `None`: all that are not denied.
    pub allow: Option<Networks>,
    /// Clients from here may not, even where they are allowed; `None`: there are none.
    pub deny: Option<Networks>,
    /// At most this many connections of one client at once, 1 to 1000000; `None`: no limit.
    pub per_client_max_connections: Option<u32>,
    /// How often DNS names are resolved again.
    pub dns_refresh: Duration,
    /// Who is asked for names that stand for many replicas; none: those of the system.
    pub nameservers: Vec<SocketAddr>,
    /// How long connections are still accepted after SIGTERM, while `/ready` and
    /// `/_ping` say 503 already.
    pub drain_delay: Duration,
    /// How long open connections may go on then.
    pub drain_timeout: Duration,
    /// What is probably not meant.
    pub warnings: Vec<ConfigWarning>,
    pub(super) source: Source,
}

impl Config {
    /// The name of the service; `None`: it is the only registry.
    #[must_use]
    pub fn service_name(&self) -> Option<&str> {
        self.service.as_ref().map(|service| service.name.as_str())
    }

    /// The version of the PROXY protocol that a replica expects where this port leads.
    pub(crate) fn proxy_protocol(&self, replica: &Replica, port: u16) -> Option<ProxyProtocol> {
        let own = replica.port(port);
        let leads_there = |listener: &&Listener| replica.port(listener.port) == own;
        let same_port = self.listeners.iter().find(|one| one.port == port);
        let listener = same_port.or_else(|| self.listeners.iter().find(leads_there));
        listener.and_then(|listener| listener.proxy_protocol)
    }
}

/// One replica of the registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// Unique; letters, digits, `.`, `_` and `-`, at most 63. Of one of several services it
    /// is that after the service's name and a slash.
    pub name: String,
    /// Its id in the registry; `None`: not known.
    pub id: Option<String>,
    /// Where it is.
    pub address: Address,
    /// Whether it stands for many; its address is a name then.
    pub discover: Option<Discover>,
    /// Its share relative to the others, 1 to 1000.
    pub weight: u32,
    /// Used only when no other replica is usable.
    pub backup: bool,
    /// At most this many connections; `None`: no limit.
    pub max_connections: Option<u32>,
    /// What is wanted of it until something else is ordered.
    pub state: Order,
    /// Its own port for a port of the service or of a check.
    pub ports: BTreeMap<u16, u16>,
}

impl Replica {
    /// Its own port for a port of the service or of a check.
    #[must_use]
    pub fn port(&self, port: u16) -> u16 {
        self.ports.get(&port).copied().unwrap_or(port)
    }
}

/// One address where connections are accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Port 0 means any free port.
    pub bind: SocketAddr,
    /// The service's port; never 0.
    pub port: u16,
    /// At most this many clients' connections here at once, 1 to 1000000; `None`: no
    /// limit of its own.
    pub max_connections: Option<u32>,
    /// In which version replicas are sent a PROXY header; `None`: they are not.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Name of the [`Check`] a replica must pass to serve it.
    pub check: String,
}

/// One health check of every replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// `ping`, or `ping-PORT` for a listener's own.
    pub name: String,
    /// The port probed, unless the replica has its own for it.
    pub port: u16,
    /// Where the preset's registry says how clients log in; `None`: it does not.
    pub login_path: Option<&'static str>,
    /// TLS for the probe; `None`: in the clear.
    pub tls: Option<Verify>,
    /// The request, and what a healthy response is.
    pub kind: CheckKind,
}

impl Check {
    /// What is probed, as an operator writes it: `https:443/_ping`.
    #[must_use]
    pub fn target(&self) -> String {
        match &self.kind {
            CheckKind::Http { scheme, path, .. } => format!("{scheme}:{}{path}", self.port),
            CheckKind::Tcp => format!("tcp:{}", self.port),
        }
    }
}

/// When connect failures of real connections take a replica out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passive {
    /// This many failures ...
    pub fails: u32,
    /// ... within this time ...
    pub window: Duration,
    /// ... take it out for this time.
    pub hold: Duration,
}

/// When replicas are probed, and how responses add up to a verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    /// Between two probes of a replica whose state is settled; at least `timeout`.
    pub interval: Duration,
    /// Between two probes while a change is pending.
    pub fast_interval: Duration,
    /// Between two probes of a replica that is down.
    pub down_interval: Duration,
    /// How long a probe may stay unanswered.
    pub timeout: Duration,
    /// Each interval varies by up to this part of itself, 0 to 1.
    pub jitter: f64,
    /// Good answers in a row that bring a replica back.
    pub rise: u32,
    /// Bad answers in a row that take a replica out.
    pub fall: u32,
    /// What a replica counts as before its first answer.
    pub start: Start,
}

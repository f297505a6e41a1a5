//! What an old configuration says, in terms that all of them have.

use std::net::SocketAddr;
use std::time::Duration;

use super::error::ImportError;
use super::note::Place;
use super::proxy_protocol::ProxyProtocol;

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// The whole file: what it passes through as TCP, and what goes for all of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// In the file's order. What ends TLS or speaks HTTP is not among them; the
    /// reader has noted it.
    pub(super) services: Vec<Service>,
    /// The name clients use, when the file says it.
    pub(super) fqdn: Option<At<String>>,
    /// Clients' connections at once, over all services.
    pub(super) max_connections: Option<At<u64>>,
    /// Where a page with the state of the servers was reached.
    pub(super) admin: Option<At<SocketAddr>>,
}

/// Addresses where clients connect, and the servers they are given to.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// What the old file calls it: a frontend, an upstream, a load balancer.
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) binds: Vec<At<SocketAddr>>,
    /// Clients' connections at once on these addresses.
    pub(super) max_connections: Option<At<u64>>,
    pub(super) servers: Vec<Server>,
    /// In which version the servers were sent a PROXY header; `None`: they were not.
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    /// `None`: the old default was round robin as well.
    pub(super) policy: Option<At<Policy>>,
    /// `None`: the old balancer asked nothing.
    pub(super) check: Option<At<Check>>,
    /// Connect failures that take a server out.
    pub(super) passive: Option<At<Passive>>,
    pub(super) connect_timeout: Option<At<Duration>>,
    /// Written in the file; defaults of the old balancer are the reader's to note.
    pub(super) idle_timeout: Option<At<Duration>>,
    /// After what time the old balancer cut a silent connection where nothing is said;
    /// `None`: never.
    pub(super) implied_idle_timeout: Option<Duration>,
    pub(super) half_close_timeout: Option<At<Duration>>,
    pub(super) slow_start: Option<At<Duration>>,
    /// What becomes of a server's connections when it turns unhealthy.
    pub(super) closes_on_down: Option<Place>,
    /// The name clients use, where this service has one of its own.
    pub(super) fqdn: Option<At<String>>,
    /// What clients ask for to be led here, where that decides; `*.` stands before the
    /// end of names.
    pub(super) names: Vec<String>,
    /// Why it can't be had at all, which matters only when it is chosen.
    pub(super) refused: Option<ImportError>,
    /// Further lines that it is made of: what was noted of them is not taken over when
    /// the service is left out.
    pub(super) parts: Vec<Place>,
}

impl Service {
    pub(super) fn new(name: impl Into<String>, place: Place) -> Self {
        Service {
            name: name.into(),
            place,
            binds: Vec::new(),
            max_connections: None,
            servers: Vec::new(),
            proxy_protocol: None,
            policy: None,
            check: None,
            passive: None,
            connect_timeout: None,
            idle_timeout: None,
            implied_idle_timeout: None,
            half_close_timeout: None,
            slow_start: None,
            closes_on_down: None,
            fqdn: None,
            names: Vec::new(),
            refused: None,
            parts: Vec::new(),
        }
    }

    /// Its name, and where clients reach it.
    pub(super) fn title(&self) -> String {
        let binds: Vec<String> = self
            .binds
            .iter()
            .map(|bind| bind.value.to_string())
            .collect();
        match binds.is_empty() {
            true => self.name.clone(),
            false => format!("{} ({})", self.name, binds.join(", ")),
        }
    }

    /// Whether it is to be imported, when only these are.
    pub(super) fn is_wanted(&self, only: &[String]) -> bool {
        only.is_empty() || only.iter().any(|name| self.is_called(name))
    }

    /// Whether the operator means it: by its name, its clients' name for it, or a port
    /// it listens on.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let mut ports = self.binds.iter().map(|bind| bind.value.port().to_string());
        let fqdn = self.fqdn.as_ref().map(|fqdn| fqdn.value.as_str());
        self.name == name || fqdn == Some(name) || ports.any(|port| port == name)
    }
}

/// One server behind a service.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// `None`: the old file has no names.
    pub(super) name: Option<String>,
    pub(super) place: Place,
    /// An IP address or a DNS name, without brackets or a port.
    pub(super) host: String,
    pub(super) port: u16,
    /// 1 to 1000 once composed; out of range is brought into it, and noted.
    pub(super) weight: u64,
    pub(super) backup: bool,
    /// Whether it is given no connections until somebody says so.
    pub(super) in_maintenance: bool,
    pub(super) max_connections: Option<u64>,
}

/// How one of several servers is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    RoundRobin,
    LeastConnections,
    RandomTwo,
    SourceHash,
}

/// The health check of a service's servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) kind: CheckKind,
    /// `None`: the port of the service.
    pub(super) port: Option<u16>,
    pub(super) interval: Option<Duration>,
    pub(super) fast_interval: Option<Duration>,
    pub(super) down_interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) rise: Option<u64>,
    pub(super) fall: Option<u64>,
}

impl Check {
    /// A check that leaves all else to the defaults.
    pub(super) fn new(kind: CheckKind) -> Self {
        Check {
            kind,
            port: None,
            interval: None,
            fast_interval: None,
            down_interval: None,
            timeout: None,
            rise: None,
            fall: None,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CheckKind {
    /// That a connection can be opened.
    Tcp,
    /// A GET.
    Http {
        tls: Option<Verify>,
        /// With its query; starts with a slash.
        path: String,
        /// Inclusive ranges.
        statuses: Vec<(u16, u16)>,
        /// All but `Host`.
        headers: Vec<(String, String)>,
    },
}

/// How a server's certificate is verified by the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verify {
    System,
    /// Certificates of authorities, PEM.
    CaFile(String),
    None,
}

/// Connect failures that take a server out for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passive {
    pub(super) fails: u64,
    pub(super) window: Duration,
    pub(super) hold: Duration,
}

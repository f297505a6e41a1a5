//! One replica's port, and how it is connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use dtr_lb_filter::contract::{METADATA, METADATA_REPLICA};
use http::Uri;
use rustls::ClientConfig;
use serde_json::json;
use tracing::warn;

use crate::error::StartError;
use crate::metrics::{ReplicaIndex, TrafficNames};
use crate::net::own_address::reaches;
use crate::plan::{Address, Cluster, Protocol, ProxyProtocol};
use crate::upstream::resolver::{DnsName, Resolver};
use crate::upstream::shown_certificate::{CertificateExpiry, ShownCertificate};
use crate::upstream::tls;

/// One replica's port.
pub(crate) struct Endpoint {
    pub(crate) cluster: Arc<str>,
    pub(crate) replica: Arc<str>,
    pub(crate) replica_index: ReplicaIndex,
    /// What the filter reads as `xds.upstream_host_metadata`.
    pub(crate) metadata: Arc<serde_json::Value>,
    pub(crate) connect_timeout: Duration,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) protocol: Protocol,
    /// What each connection to it begins with; `None`: nothing of ours.
    pub(crate) proxy_protocol: Option<ProxyProtocol>,
    /// `None`: no check of the balancer's probes it.
    pub(crate) shown_certificate: Option<ShownCertificate>,
    host: Addresses,
    port: u16,
    own_listeners: OwnListeners,
}

/// What the endpoints of a plan have in common.
pub(super) struct EndpointParts<'a> {
    pub(super) tls: tls::Configs,
    pub(super) resolver: &'a mut Resolver,
    pub(super) traffic_names: &'a TrafficNames,
    pub(super) own_listeners: &'a OwnListeners,
}

/// Where the host itself listens, once that is known.
pub(super) type OwnListeners = Arc<OnceLock<Vec<SocketAddr>>>;

impl Endpoint {
    /// # Errors
    /// A CA file that can't be read.
    pub(super) fn of(
        cluster: &Cluster,
        parts: &mut EndpointParts<'_>,
    ) -> Result<Endpoint, StartError> {
        let EndpointParts {
            tls,
            resolver,
            traffic_names,
            own_listeners,
        } = parts;
        let name = cluster.part_of.as_ref().unwrap_or(&cluster.name);
        let verify = cluster.tls.as_ref();
        Ok(Endpoint {
            cluster: name.as_str().into(),
            replica: cluster.replica.as_str().into(),
            replica_index: traffic_names.replica(&cluster.replica),
            metadata: Arc::new(
                json!({"filter_metadata": {METADATA: {METADATA_REPLICA: cluster.replica}}}),
            ),
            connect_timeout: cluster.connect_timeout,
            tls: verify
                .map(|verify| tls.config(verify, cluster.protocol))
                .transpose()?,
            protocol: cluster.protocol,
            proxy_protocol: cluster.proxy_protocol,
            shown_certificate: cluster.check.as_deref().map(ShownCertificate::new),
            host: match &cluster.host {
                Address::Ip(ip) => Addresses::Fixed(*ip),
                Address::Name(host) => Addresses::Named(NamedHost::new(resolver.name(host))),
            },
            port: cluster.port,
            own_listeners: Arc::clone(*own_listeners),
        })
    }

    /// Whether its fixed address is one where the host itself listens.
    ///
    /// # Errors
    /// When it is.
    pub(super) fn refuse_loop(&self, own: &[SocketAddr]) -> Result<(), StartError> {
        let Addresses::Fixed(ip) = self.host else {
            return Ok(());
        };
        let address = SocketAddr::new(ip, self.port);
        match own.iter().find(|bind| reaches(address, **bind)) {
            None => Ok(()),
            Some(listener) => Err(StartError::Loop {
                replica: self.replica.to_string(),
                address,
                listener: *listener,
            }),
        }
    }

    /// Until when the certificate that it last showed to its check is valid; `None`: it
    /// has shown none.
    pub(super) fn certificate_expiry(&self) -> Option<CertificateExpiry> {
        let shown = self.shown_certificate.as_ref()?;
        Some(CertificateExpiry {
            replica: Arc::clone(&self.replica),
            check: Arc::clone(&shown.check),
            not_after: shown.not_after()?,
        })
    }

    /// Its addresses as they are known now, in the resolver's order. Those of a name
    /// where the host itself listens are left out.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        let (fixed, named) = match &self.host {
            Addresses::Fixed(ip) => (Some(*ip), None),
            Addresses::Named(host) => {
                let own = self.own_listeners.get().map_or(&[][..], Vec::as_slice);
                (None, Some(host.addresses(self.port, own)))
            }
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

    /// The form of a request's target that HTTP/2 needs.
    pub(crate) fn absolute_uri(&self, authority: &str, path: &Uri) -> Result<Uri, String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let path = path.path_and_query().map_or("/", |path| path.as_str());
        let uri = Uri::builder().scheme(scheme).authority(authority);
        uri.path_and_query(path)
            .build()
            .map_err(|error| error.to_string())
    }
}

/// Where a replica is.
enum Addresses {
    Fixed(IpAddr),
    Named(NamedHost),
}

/// A name, and which of its addresses may be connected to.
struct NamedHost {
    name: Arc<DnsName>,
    sorted_out: RwLock<SortedOut>,
}

/// An answer of DNS, and what of it is not the host itself.
#[derive(Default)]
struct SortedOut {
    answer: Option<Arc<[IpAddr]>>,
    others: Arc<[IpAddr]>,
}

impl NamedHost {
    fn new(name: Arc<DnsName>) -> NamedHost {
        NamedHost {
            name,
            sorted_out: RwLock::default(),
        }
    }

    fn addresses(&self, port: u16, own: &[SocketAddr]) -> Arc<[IpAddr]> {
        let answer = self.name.addresses();
        if own.iter().all(|bind| bind.port() != port) {
            return answer;
        }
        let known = self.sorted_out.read();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        if known
            .answer
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, &answer))
        {
            return Arc::clone(&known.others);
        }
        drop(known);
        self.sort_out(answer, port, own)
    }

    /// Asks the machine which addresses are its own: once for each answer of DNS.
    fn sort_out(&self, answer: Arc<[IpAddr]>, port: u16, own: &[SocketAddr]) -> Arc<[IpAddr]> {
        let is_own = |ip: &IpAddr| {
            let address = SocketAddr::new(*ip, port);
            own.iter().find(|bind| reaches(address, **bind))
        };
        let others: Arc<[IpAddr]> = answer
            .iter()
            .filter(|ip| match is_own(ip) {
                None => true,
                Some(listener) => {
                    warn!(
                        name = self.name.name(),
                        address = %SocketAddr::new(**ip, port),
                        %listener,
                        "a replica's name leads to this host itself, which does not connect to \
                         itself; correct the name, or give the replica another port"
                    );
                    false
                }
            })
            .copied()
            .collect();
        let sorted_out = SortedOut {
            answer: Some(answer),
            others: Arc::clone(&others),
        };
        let mut known = self.sorted_out.write();
        **known.as_mut().unwrap_or_else(|error| error.get_mut()) = sorted_out;
        others
    }
}

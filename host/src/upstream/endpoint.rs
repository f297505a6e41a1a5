//! One replica's port, and how it is connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dtr_lb_filter::contract::{METADATA, METADATA_REPLICA};
use http::Uri;
use rustls::ClientConfig;
use serde_json::json;

use crate::error::StartError;
use crate::plan::{Address, Cluster, Protocol};
use crate::upstream::resolver::{DnsName, Resolver};
use crate::upstream::tls;

/// One replica's port.
pub(crate) struct Endpoint {
    pub(crate) cluster: Arc<str>,
    pub(crate) replica: Arc<str>,
    /// What the filter reads as `xds.upstream_host_metadata`.
    pub(crate) metadata: Arc<serde_json::Value>,
    pub(crate) connect_timeout: Duration,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) protocol: Protocol,
    host: Addresses,
    port: u16,
}

impl Endpoint {
    /// # Errors
    /// A CA file that can't be read.
    pub(super) fn of(
        cluster: &Cluster,
        tls: &mut tls::Configs,
        resolver: &mut Resolver,
    ) -> Result<Endpoint, StartError> {
        let name = cluster.part_of.as_ref().unwrap_or(&cluster.name);
        let verify = cluster.tls.as_ref();
        Ok(Endpoint {
            cluster: name.as_str().into(),
            replica: cluster.replica.as_str().into(),
            metadata: Arc::new(
                json!({"filter_metadata": {METADATA: {METADATA_REPLICA: cluster.replica}}}),
            ),
            connect_timeout: cluster.connect_timeout,
            tls: verify
                .map(|verify| tls.config(verify, cluster.protocol))
                .transpose()?,
            protocol: cluster.protocol,
            host: match &cluster.host {
                Address::Ip(ip) => Addresses::Fixed(*ip),
                Address::Name(host) => Addresses::Named(resolver.name(host)),
            },
            port: cluster.port,
        })
    }

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
    Named(Arc<DnsName>),
}

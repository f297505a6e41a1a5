//! A chain of network filters as the operator writes it.

use serde::Deserialize;

use super::Protocol;
use crate::config::address::{Bind, Endpoint};
use crate::config::duration::BoundedDuration;
use crate::config::network_filter::NetworkFilterSpec;
use crate::config::number::MaxConnections;
use crate::config::string::ClusterName;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ChainFile {
    pub(super) listeners: Vec<Listener>,
    pub(super) clusters: Vec<Cluster>,
    #[serde(default)]
    pub(super) filters: Vec<NetworkFilterSpec>,
    pub(super) admin: Option<Admin>,
    pub(super) idle_timeout: Option<BoundedDuration<1>>,
    pub(super) resend_first_flight: Option<bool>,
    pub(super) half_close_timeout: Option<BoundedDuration<1>>,
    pub(super) max_connections: Option<MaxConnections>,
    pub(super) dns_refresh: Option<BoundedDuration<10>>,
    pub(super) drain_delay: Option<BoundedDuration<0>>,
    pub(super) drain_timeout: Option<BoundedDuration<0>>,
}

/// One address to listen on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    pub(super) bind: Bind,
    pub(super) cluster: ClusterName,
    pub(super) max_connections: Option<MaxConnections>,
}

/// One cluster.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    pub(super) name: ClusterName,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) connect_timeout: Option<BoundedDuration<1>>,
    #[serde(default)]
    pub(super) protocol: Protocol,
    pub(super) tls: Option<Tls>,
}

/// TLS for a cluster's HTTP and gRPC calls.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) verify: Option<String>,
}

/// The admin listener.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) bind: Bind,
}

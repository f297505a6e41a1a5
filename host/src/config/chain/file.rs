//! A chain of network filters as the operator writes it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Protocol;
use crate::config::address::{Bind, Endpoint};
use crate::config::admin::AdminSpec;
use crate::config::duration::BoundedDuration;
use crate::config::network_filter::NetworkFilterSpec;
use crate::config::number::MaxConnections;
use crate::config::string::ClusterName;

/// A chain: listeners, clusters and network filters, given plainly.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Chain")]
pub(in crate::config) struct ChainFile {
    /// At least one.
    pub(super) listeners: Vec<Listener>,
    /// Where connections and the filters' calls may go.
    pub(super) clusters: Vec<Cluster>,
    /// In the order connections meet them, at most 32 [default: none].
    #[serde(default)]
    pub(super) filters: Vec<NetworkFilterSpec>,
    /// Where the metrics are served [default: nowhere].
    pub(super) admin: Option<AdminSpec>,
    /// Where the process that takes this one's place finds it: a Unix socket, from the
    /// configuration's folder [default: takeover.sock in RUNTIME_DIRECTORY, where that is set].
    pub(super) takeover_socket: Option<String>,
    /// Whether a change of this file is taken over at once, as after SIGHUP [default: false].
    #[serde(default)]
    pub(super) watch: bool,
    /// How long a connection may be silent both ways, at least 1ms [default: for ever].
    pub(super) idle_timeout: Option<BoundedDuration<1>>,
    /// Whether another replica is tried when one accepts a connection and ends it before its
    /// first byte [default: true].
    pub(super) resend_first_flight: Option<bool>,
    /// How long a side may be silent once the other has finished, at least 1ms [default: 1h].
    pub(super) half_close_timeout: Option<BoundedDuration<1>>,
    /// Clients' connections open at once, over all listeners [default: as many as there are
    /// files for].
    pub(super) max_connections: Option<MaxConnections>,
    /// How often DNS names are resolved again, at least 10ms [default: 5s].
    pub(super) dns_refresh: Option<BoundedDuration<10>>,
    /// How long connections are still accepted after SIGTERM, while /ready and /_ping say 503
    /// already [default: 0s].
    pub(super) drain_delay: Option<BoundedDuration<0>>,
    /// How long open connections may go on then [default: 60s].
    pub(super) drain_timeout: Option<BoundedDuration<0>>,
    /// Where this file's schema is, for editors; not read.
    #[serde(rename = "$schema")]
    _schema: Option<String>,
}

/// One address to listen on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChainListener")]
pub(super) struct Listener {
    /// Where connections are accepted: an IP address and a port; port 0 means any free one.
    pub(super) bind: Bind,
    /// The cluster that serves when no filter steers.
    pub(super) cluster: ClusterName,
    /// Clients' connections open here at once [default: no limit of its own].
    pub(super) max_connections: Option<MaxConnections>,
}

/// One cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    /// What filters call it; unique.
    pub(super) name: ClusterName,
    /// At least one of IP:PORT, [IP]:PORT, NAME:PORT; taken in turn.
    pub(super) endpoints: Vec<Endpoint>,
    /// How long one connect attempt may take, at least 1ms [default: 1s].
    pub(super) connect_timeout: Option<BoundedDuration<1>>,
    /// What HTTP calls speak with it; gRPC calls always speak HTTP/2 [default: http1].
    #[serde(default)]
    pub(super) protocol: Protocol,
    /// TLS for HTTP and gRPC calls; forwarded connections are never touched [default: none].
    pub(super) tls: Option<Tls>,
}

/// TLS for a cluster's HTTP and gRPC calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// How the certificate is checked: system, none, or the path of a PEM file, from the
    /// configuration's folder [default: system].
    pub(super) verify: Option<String>,
}

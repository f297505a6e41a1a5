//! A chain of network filters as the operator writes it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Protocol;
use crate::config::address::{Bind, Endpoint};
use crate::config::admin::AdminSpec;
use crate::config::duration::BoundedDuration;
use crate::config::network_filter::{MOST_FILTERS, NetworkFilterSpec};
use crate::config::number::MaxConnections;
use crate::config::string::ClusterName;
use crate::config::text::{PATH, VERIFY};

/// A chain: listeners, clusters and network filters, given plainly.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Chain")]
pub(in crate::config) struct ChainFile {
    /// Where connections are accepted.
    #[schemars(length(min = 1))]
    pub(super) listeners: Vec<Listener>,
    /// Where connections and the filters' calls may go; may be empty when nothing needs one.
    pub(super) clusters: Vec<Cluster>,
    /// The network filters, in the order connections meet them [default: none].
    #[serde(default)]
    #[schemars(length(max = MOST_FILTERS))]
    pub(super) filters: Vec<NetworkFilterSpec>,
    /// Where the metrics are served, and `/ready` [default: nowhere].
    pub(super) admin: Option<AdminSpec>,
    /// The Unix socket on which a new process takes this one's place, in a folder that is there;
    /// at most 99 bytes with its folder [default: takeover.sock in `$RUNTIME_DIRECTORY`, which
    /// systemd sets; otherwise none].
    #[schemars(title = PATH)]
    pub(super) takeover_socket: Option<String>,
    /// Whether a change of this file is taken over at once, as after SIGHUP [default: `false`].
    #[serde(default)]
    pub(super) watch: bool,
    /// How long a connection may be silent both ways [default: for ever].
    pub(super) idle_timeout: Option<BoundedDuration<1>>,
    /// Whether the next endpoint is tried when one accepts a connection and ends it before its
    /// first byte [default: `true`].
    pub(super) resend_first_flight: Option<bool>,
    /// How long a side may be silent once the other has finished: HAProxy's `timeout
    /// client-fin`, both ways. A side that has finished and then vanishes ends the connection
    /// earlier: when the system notices, but not within the first ten seconds of the connection
    /// [default: `1h`].
    pub(super) half_close_timeout: Option<BoundedDuration<1>>,
    /// Clients' connections open at once, over all listeners; those beyond it wait [default: as
    /// many as there are files for].
    pub(super) max_connections: Option<MaxConnections>,
    /// How often DNS names are resolved again; the last good answer is kept when that fails
    /// [default: `5s`].
    pub(super) dns_refresh: Option<BoundedDuration<10>>,
    /// How long connections are still accepted after SIGTERM, while `/ready` says 503 already,
    /// so that whatever asks there moves its clients away first [default: `0s`].
    pub(super) drain_delay: Option<BoundedDuration<0>>,
    /// How long open connections may go on then; a second signal cuts them, during
    /// `drain_delay` too [default: `60s`].
    pub(super) drain_timeout: Option<BoundedDuration<0>>,
    /// Where this file's schema is, for editors; not read [default: none].
    #[serde(rename = "$schema")]
    #[schemars(title = "any text")]
    _schema: Option<String>,
}

/// One address to listen on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChainListener")]
pub(super) struct Listener {
    /// Where connections are accepted; port 0 is any free one.
    pub(super) bind: Bind,
    /// The cluster that serves when no filter steers (filter state `envoy.tcp_proxy.cluster`).
    pub(super) cluster: ClusterName,
    /// Clients' connections open here at once; those beyond it wait [default: no limit of its
    /// own].
    pub(super) max_connections: Option<MaxConnections>,
}

/// One cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    /// What filters call it; unique.
    pub(super) name: ClusterName,
    /// Where it is, taken in turn; a connection tries the next when one can't be reached.
    #[schemars(length(min = 1))]
    pub(super) endpoints: Vec<Endpoint>,
    /// How long one connect attempt may take [default: `1s`].
    pub(super) connect_timeout: Option<BoundedDuration<1>>,
    /// What HTTP calls speak with it; gRPC calls always speak HTTP/2 [default: `http1`].
    #[serde(default)]
    pub(super) protocol: Protocol,
    /// TLS for HTTP and gRPC calls; forwarded connections are never touched. gRPC over TLS
    /// needs `"protocol": "http2"` [default: none].
    pub(super) tls: Option<Tls>,
}

/// TLS for a cluster's HTTP and gRPC calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// How the certificate is checked: against the system's roots, not at all, or against those
    /// of a PEM file [default: `system`].
    #[schemars(title = VERIFY)]
    pub(super) verify: Option<String>,
}

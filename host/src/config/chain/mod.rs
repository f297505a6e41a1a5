//! A chain of network filters, and the listeners and clusters around it.

mod file;
mod validate;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::Endpoint;
use super::admin::Admin;
use super::network_filter::NetworkFilter;
use super::source::Source;
use super::verify::Verify;
use super::warning::ConfigWarning;

pub(super) use file::ChainFile;
pub(super) use validate::validate;

/// Listeners, clusters and network filters, given plainly.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Chain {
    /// Never empty; addresses are unique unless their port is 0.
    pub listeners: Vec<ChainListener>,
    /// Names are unique.
    pub clusters: Vec<ChainCluster>,
    /// In the order connections meet them.
    pub filters: Vec<NetworkFilter>,
    /// Where the metrics are served; `None`: they are not.
    pub admin: Option<Admin>,
    /// The Unix socket on which the process waits for the one that takes its place; `None`:
    /// the configuration names none. The standalone host's alone.
    pub takeover_socket: Option<PathBuf>,
    /// Whether a change of the file is taken over at once. The standalone host's alone.
    pub watch: bool,
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
    /// How often DNS names are resolved again.
    pub dns_refresh: Duration,
    /// How long connections are still accepted after SIGTERM, while `/ready` and
    /// `/_ping` say 503 already.
    pub drain_delay: Duration,
    /// How long open connections may go on then.
    pub drain_timeout: Duration,
    /// What is probably not meant.
    pub warnings: Vec<ConfigWarning>,
    pub(super) source: Source,
}

/// One address where connections are accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainListener {
    /// Port 0 means any free port.
    pub bind: SocketAddr,
    /// Name of the [`ChainCluster`] that serves when no filter steers.
    pub cluster: String,
    /// At most this many clients' connections here at once, 1 to 1000000; `None`: no
    /// limit of its own.
    pub max_connections: Option<u32>,
}

/// Where connections and the filters' calls may go.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainCluster {
    /// What filters call it.
    pub name: String,
    /// Never empty; taken in turn.
    pub endpoints: Vec<Endpoint>,
    /// How long one connect attempt may take.
    pub connect_timeout: Duration,
    /// What HTTP calls speak with it.
    pub protocol: Protocol,
    /// TLS for HTTP and gRPC calls; forwarded connections are never touched.
    pub tls: Option<Verify>,
}

/// A version of HTTP. gRPC calls speak HTTP/2 either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, in the clear without an upgrade, over TLS by ALPN.
    Http2,
}

//! What a file of several services has besides that of one registry.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::address::ServerName;
use crate::config::duration::BoundedDuration;
use crate::config::string::ServiceName;

/// The top level.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Services")]
pub(in crate::config) struct File {
    /// Several registries; a client gets the one whose name it asks for: in TLS (SNI), or as
    /// `Host` over plain HTTP/1.
    #[schemars(length(min = 1))]
    pub(super) services: Vec<OwnFields>,
    /// The service of clients that ask for none of the names, or for nothing: TLS without SNI,
    /// another protocol, HTTP/2 in the clear [default: the first].
    #[schemars(title = "the name of a service")]
    pub(super) default: Option<ServiceName>,
    /// How long a client may take to ask; then it is closed, with the reason `hello-timeout`
    /// [default: `10s`].
    pub(super) hello_timeout: Option<BoundedDuration<1>>,
}

/// One service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Service")]
pub(super) struct OwnFields {
    /// Begins the names of its replicas: `quay/r1` in the log, the metrics, `/status` and `PUT
    /// /replicas/quay/r1`; unique [default: its `fqdn`].
    pub(super) name: Option<ServiceName>,
    /// What clients ask for besides the `fqdn`; `*.example.com` is every name that ends so
    /// [default: none].
    #[serde(default)]
    pub(super) names: Vec<ServerName>,
}

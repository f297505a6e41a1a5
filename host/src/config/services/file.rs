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
    /// Host over plain HTTP.
    pub(super) services: Vec<OwnFields>,
    /// The service for clients that ask for none of the names, or for nothing [default: the
    /// first].
    pub(super) default: Option<ServiceName>,
    /// How long a client may take to ask, at least 1ms; then it is closed [default: 10s].
    pub(super) hello_timeout: Option<BoundedDuration<1>>,
}

/// One service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Service")]
pub(super) struct OwnFields {
    /// Names it in /status and the metrics, and begins its replicas' names [default: its
    /// fqdn].
    pub(super) name: Option<ServiceName>,
    /// What clients ask for besides the fqdn; *.example.com is every name that ends so
    /// [default: none].
    #[serde(default)]
    pub(super) names: Vec<ServerName>,
}

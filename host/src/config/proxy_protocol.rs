//! The PROXY protocol: by which version, and whose word counts.

use std::time::Duration;

use dtr_lb_filter::clients::Networks;
use schemars::JsonSchema;
use serde::Deserialize;

/// A version of the [PROXY protocol](https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt),
/// by which one proxy says to the next who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Who says by the PROXY protocol who its clients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Where they connect from.
    pub networks: Networks,
    /// How long one may take to say it.
    pub timeout: Duration,
}

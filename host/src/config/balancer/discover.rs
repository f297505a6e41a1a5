//! DNS names that stand for many replicas.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Config, Listener, Replica};
use crate::config::address::Address;

/// How the replicas are found that an entry of the file stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Discover {
    /// One for each address of a DNS name, or of each of its SRV records.
    Dns,
}

impl Config {
    /// Whether DNS says how many replicas there are.
    #[must_use]
    pub fn discovers(&self) -> bool {
        self.replicas.iter().any(|one| one.discover.is_some())
    }

    /// Without the entries that DNS has no replica for; `None`: there is no other.
    #[must_use]
    pub fn with_known_replicas(&self) -> Option<Config> {
        let mut config = self.clone();
        config.replicas.retain(|one| one.discover.is_none());
        (!config.replicas.is_empty()).then_some(config)
    }

    /// The service's only port; `None`: it has several.
    pub(crate) fn only_port(&self) -> Option<u16> {
        only_port(&self.listeners)
    }
}

impl Replica {
    /// The DNS name that stands for many replicas, if this is such an entry.
    pub(crate) fn discovered_name(&self) -> Option<&str> {
        match (&self.address, self.discover) {
            (Address::Name(name), Some(Discover::Dns)) => Some(name),
            _ => None,
        }
    }
}

/// The port that all these listeners serve; `None`: they serve several.
pub(super) fn only_port(listeners: &[Listener]) -> Option<u16> {
    let mut ports = listeners.iter().map(|one| one.port);
    let first = ports.next()?;
    ports.all(|port| port == first).then_some(first)
}

/// Whether a name is one of SRV records: it begins with a service and a protocol, as in
/// [RFC 2782](https://www.rfc-editor.org/rfc/rfc2782).
pub(crate) fn is_srv(name: &str) -> bool {
    let mut labels = name.split('.');
    let mut is_marked = || labels.next().is_some_and(|label| label.starts_with('_'));
    is_marked() && is_marked()
}

//! The configuration as the operator writes it: JSON, with defaults left out.

use dtr_lb_filter::config::{OnDown, Policy, Start, WhenAllDown};
use serde::Deserialize;

use super::check_spec::{BodySpec, CheckSpec};
use super::preset::Preset;
use crate::config::address::{Address, Bind, Fqdn, PortName};
use crate::config::duration::BoundedDuration;
use crate::config::network_filter::NetworkFilterSpec;
use crate::config::number::{BoundedInt, Fraction, MaxConnections, Port, Statuses};
use crate::config::string::{HeaderName, HeaderValue, ReplicaName, Token};
use crate::config::target::Target;
use crate::config::unique_map::UniqueMap;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct File {
    pub(super) fqdn: Fqdn,
    pub(super) replicas: Vec<Replica>,
    pub(super) listeners: Option<Vec<Listener>>,
    pub(super) policy: Option<Policy>,
    pub(super) when_all_down: Option<WhenAllDown>,
    pub(super) on_down: Option<OnDown>,
    pub(super) min_healthy: Option<BoundedInt<1, 100_000>>,
    pub(super) slow_start: Option<BoundedDuration<0>>,
    #[serde(default)]
    pub(super) passive: Passive,
    #[serde(default)]
    pub(super) health: Health,
    pub(super) compare_interval: Option<BoundedDuration<1>>,
    pub(super) admin: Option<Admin>,
    #[serde(default)]
    pub(super) filters: Vec<NetworkFilterSpec>,
    pub(super) connect_timeout: Option<BoundedDuration<1>>,
    pub(super) idle_timeout: Option<BoundedDuration<1>>,
    pub(super) resend_first_flight: Option<bool>,
    pub(super) half_close_timeout: Option<BoundedDuration<1>>,
    pub(super) max_connections: Option<MaxConnections>,
    pub(super) dns_refresh: Option<BoundedDuration<10>>,
    pub(super) drain_delay: Option<BoundedDuration<0>>,
    pub(super) drain_timeout: Option<BoundedDuration<0>>,
}

/// One replica.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replica {
    pub(super) name: Option<ReplicaName>,
    pub(super) address: Address,
    pub(super) weight: Option<BoundedInt<1, 1000>>,
    #[serde(default)]
    pub(super) backup: bool,
    pub(super) max_connections: Option<MaxConnections>,
    #[serde(default)]
    pub(super) ports: UniqueMap<PortName, Port>,
}

/// One address to listen on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    pub(super) bind: Bind,
    pub(super) port: Option<Port>,
    pub(super) max_connections: Option<MaxConnections>,
    pub(super) health: Option<CheckSpec>,
}

/// When connect failures take a replica out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Passive {
    pub(super) fails: Option<BoundedInt<1, 1000>>,
    pub(super) window: Option<BoundedDuration<1>>,
    pub(super) hold: Option<BoundedDuration<1>>,
}

/// What is probed, and when. The first six fields are those of [`CheckSpec`]: serde
/// can't both flatten a struct and refuse unknown fields.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Health {
    preset: Option<Preset>,
    target: Option<Target>,
    statuses: Option<Vec<Statuses>>,
    headers: Option<UniqueMap<HeaderName, HeaderValue>>,
    body: Option<BodySpec>,
    verify: Option<String>,
    pub(super) interval: Option<BoundedDuration<1>>,
    pub(super) fast_interval: Option<BoundedDuration<1>>,
    pub(super) down_interval: Option<BoundedDuration<1>>,
    pub(super) timeout: Option<BoundedDuration<1>>,
    pub(super) jitter: Option<Fraction>,
    pub(super) rise: Option<BoundedInt<1, 1000>>,
    pub(super) fall: Option<BoundedInt<1, 1000>>,
    pub(super) start: Option<Start>,
}

impl Health {
    /// The general check.
    pub(super) fn check(&self) -> CheckSpec {
        CheckSpec {
            preset: self.preset,
            target: self.target.clone(),
            statuses: self.statuses.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            verify: self.verify.clone(),
        }
    }
}

/// The admin listener.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) bind: Bind,
    pub(super) token: Option<Token>,
}

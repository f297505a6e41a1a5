//! The filter's configuration: what a host hands to `proxy_on_configure`.
//!
//! The host makes it out of the operator's file, so it is explicit where that
//! file is convenient: every default is filled in, times are milliseconds.

use crate::balance::order::Order;
use crate::clients::Networks;
use crate::contract::ClusterNames;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The whole of it: one registry, or several services on the same ports.
#[derive(Clone, Debug, PartialEq)]
pub enum PluginConfig {
    /// Every connection is for it.
    One(Box<Config>),
    /// A connection is for the one whose name its client asks for.
    Several(ServicesConfig),
}

/// Several registries. What is the operator's and not a registry's is the same in all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicesConfig {
    /// At least one; each has its [`Config::service`].
    pub services: Vec<Config>,
    /// The name of the one for clients that ask for none of the names, or for nothing.
    pub default: String,
    /// How long a client may take to ask.
    pub hello_timeout_ms: u64,
}

/// What makes a registry one of several services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Unique; begins its replicas' names.
    pub name: String,
    /// What its clients ask for, see [`ServerNames`](crate::contract::ServerNames).
    pub names: Vec<String>,
}

/// One registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which of several services it is; `None`: it is the only registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// The registry's name: `Host` (and so SNI) of the probes.
    pub fqdn: String,
    /// How one of several usable replicas is picked.
    pub policy: Policy,
    /// What happens to a connection when no replica is usable.
    pub when_all_down: WhenAllDown,
    /// What happens to the connections of a replica that turns unhealthy.
    pub on_down: OnDown,
    /// The balancer's own `/_ping` says 200 while this many replicas are usable.
    pub min_healthy: u32,
    /// At most this many connections are open at once, over all workers: shown in the
    /// status, kept by the host. `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u64>,
    /// A recovered replica's share grows to its weight within this time; 0: at once.
    pub slow_start_ms: u64,
    /// When connect failures of real connections take a replica out.
    pub passive: Passive,
    /// The replicas, in the operator's order; at least one.
    pub replicas: Vec<Replica>,
    /// The service's ports; at least one.
    pub listeners: Vec<Listener>,
    /// There is a route `PORT/A>B` from each replica to this many that follow it
    /// in the list (the list is a ring); `PORT/A` alone always exists.
    pub runners_up: usize,
    /// How the clusters are named.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub cluster_names: ClusterNames,
    /// The service's port that this plugin's connections are to; `None`: the one that its
    /// root id names, or else the one that they arrive at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The checks made of each replica; at least one.
    pub checks: Vec<Check>,
    /// When replicas are probed, and how answers add up to a verdict.
    pub health: Health,
    /// How the replicas are compared with each other; `None`: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Compare>,
    /// Which clients may connect; `None`: all, and nobody looks who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<ClientRules>,
    /// Who may change a replica's state on the admin listener.
    pub admin: Admin,
}

impl PluginConfig {
    /// Reads what a host hands over.
    ///
    /// # Errors
    ///
    /// It is no JSON of one of the two forms.
    pub fn parse(json: &[u8]) -> serde_json::Result<PluginConfig> {
        /// Only to see which form it is.
        #[derive(Deserialize)]
        struct Form {
            services: Option<IgnoredAny>,
        }
        Ok(match serde_json::from_slice::<Form>(json)?.services {
            None => PluginConfig::One(serde_json::from_slice(json)?),
            Some(_) => PluginConfig::Several(serde_json::from_slice(json)?),
        })
    }

    /// The registries.
    pub fn registries(&self) -> &[Config] {
        match self {
            PluginConfig::One(config) => std::slice::from_ref(config),
            PluginConfig::Several(services) => &services.services,
        }
    }

    /// Takes out the port, which alone differs from plugin to plugin.
    pub fn take_port(&mut self) -> Option<u16> {
        let registries = match self {
            PluginConfig::One(config) => std::slice::from_mut(&mut **config),
            PluginConfig::Several(services) => &mut services.services[..],
        };
        let ports = registries.iter_mut().map(|config| config.port.take());
        ports.fold(None, Option::or)
    }
}

impl Config {
    /// The name of the service; `None`: it is the only registry.
    pub fn service_name(&self) -> Option<&str> {
        self.service.as_ref().map(|service| service.name.as_str())
    }
}

fn is_usual(names: &ClusterNames) -> bool {
    *names == ClusterNames::default()
}

/// How one of several usable replicas is picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The fewest open connections for its weight.
    LeastConnections,
    /// In turn, smoothly by weight.
    RoundRobin,
    /// The better of two picked at random by weight.
    RandomTwo,
    /// By the client's address; few clients move when the pool changes.
    SourceHash,
}

/// What happens to a connection when no replica is usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenAllDown {
    /// Closed at once.
    Refuse,
    /// Given to the replicas all the same.
    TryAll,
}

/// What happens to the connections of a replica that turns unhealthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDown {
    /// They go on.
    Keep,
    /// They are closed.
    Close,
}

/// When connect failures of real connections take a replica out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passive {
    /// This many failures ...
    pub fails: u32,
    /// ... within this time ...
    pub window_ms: u64,
    /// ... take it out for this time.
    pub hold_ms: u64,
}

/// Which clients may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientRules {
    /// Proxies that may say who their clients are. A host that looks itself lets nobody else
    /// get here.
    #[serde(default)]
    pub trusted_proxies: Networks,
    /// Clients from here may; `None`: all that are not denied.
    #[serde(default)]
    pub allow: Option<Networks>,
    /// Clients from here may not, even where they are allowed.
    #[serde(default)]
    pub deny: Networks,
    /// At most this many connections of one client are open; `None`: no limit.
    #[serde(default)]
    pub max_connections: Option<u32>,
}

impl ClientRules {
    /// Whether clients of this address may connect.
    pub(crate) fn allows(&self, client: IpAddr) -> bool {
        let is_allowed = |networks: &Networks| networks.contain(client);
        !self.deny.contain(client) && self.allow.as_ref().is_none_or(is_allowed)
    }

    /// Whether it depends on the address who may.
    pub(crate) fn names_addresses(&self) -> bool {
        self.allow.is_some() || self.deny != Networks::default()
    }
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    /// Unique, over all services; names its clusters (`443/r1`, `ping/r1`) and its metrics.
    pub name: String,
    /// Where it is, as the operator wrote it, to be shown: the proxy's clusters say where
    /// it is connected to. Empty: not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Its share relative to the others, 1 to 1000.
    pub weight: u32,
    /// Used only when no other replica is usable.
    pub backup: bool,
    /// At most this many connections; `None`: no limit.
    pub max_connections: Option<u32>,
    /// What is wanted of it until the operator orders something else.
    #[serde(default, skip_serializing_if = "Order::is_ready")]
    pub state: Order,
}

/// One of the service's ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Names the listener's routes: `443/r1>r3>*`.
    pub port: u16,
    /// Names of the checks a replica must pass to serve this port.
    pub checks: Vec<String>,
}

/// One check, made of every replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Unique; its probes go to the cluster `NAME/REPLICA`, such as `ping/r1`.
    pub name: String,
    /// What is asked.
    pub kind: CheckKind,
}

/// What is asked of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CheckKind {
    /// An HTTP request, over TLS where the cluster says so.
    Http {
        /// `https` or `http`: the request's `:scheme`.
        scheme: String,
        /// Such as `/_ping`.
        path: String,
        /// Statuses of a healthy answer, as inclusive ranges.
        statuses: Vec<(u16, u16)>,
        /// Sent with the request; names in lower case.
        headers: Vec<(String, String)>,
        /// What the body must say, when the status alone does not tell.
        body: Option<BodyCheck>,
    },
    /// That a TCP connection can be opened. Its cluster's connect timeout must be
    /// shorter than the probe's timeout: silence after that means connected.
    Tcp,
}

/// What a JSON body must say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyCheck {
    /// A JSON pointer (RFC 6901), such as `/status`.
    pub pointer: String,
    /// The value found there in a healthy answer.
    pub healthy: serde_json::Value,
}

/// When replicas are probed, and how answers add up to a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Between two probes of a replica whose state is settled.
    pub interval_ms: u64,
    /// Between two probes while a change is pending.
    pub fast_interval_ms: u64,
    /// Between two probes of a replica that is down.
    pub down_interval_ms: u64,
    /// How long a probe may stay unanswered.
    pub timeout_ms: u64,
    /// Good answers in a row that bring a replica back.
    pub rise: u32,
    /// Bad answers in a row that take a replica out.
    pub fall: u32,
    /// Each interval varies by up to this fraction of itself, 0 to 1.
    pub jitter: f64,
    /// What a replica counts as before its first answer.
    pub start: Start,
}

/// What is asked of every replica now and then, so that the answers can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// The check whose clusters it goes to, and whose headers it carries.
    pub check: String,
    /// Such as `/v2/`, where a registry says how to log in.
    pub path: String,
    /// Between two rounds.
    pub interval_ms: u64,
}

/// What a replica counts as before its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Usable; one bad answer takes it out, one good answer settles it.
    Up,
    /// Not usable; one good answer brings it in.
    Down,
}

/// Who may see and change what on the admin listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The token every change needs; `None`: changes need a loopback listener.
    pub token: Option<String>,
    /// What needs the token.
    #[serde(default, skip_serializing_if = "Protect::is_usual")]
    pub protect: Protect,
    /// Whether the admin listener is bound to a loopback address.
    pub loopback: bool,
}

impl Admin {
    /// Where there is no such listener.
    pub const NOBODY: Admin = Admin {
        token: None,
        loopback: false,
        protect: Protect::Changes,
    };
}

/// What of the admin listener needs the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protect {
    /// What changes something.
    #[default]
    Changes,
    /// All but the balancer's own health.
    All,
}

impl Protect {
    fn is_usual(&self) -> bool {
        *self == Protect::Changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn both_forms_are_read_as_they_are_written() {
        let one = sample::config(2);
        let written = serde_json::to_string(&one).expect("it is JSON");
        let read = PluginConfig::parse(written.as_bytes()).expect("it is right");
        assert_eq!(read, PluginConfig::One(Box::new(one.clone())));

        let service = |name: &str| Config {
            service: Some(Service {
                name: name.to_owned(),
                names: vec![format!("{name}.example.com")],
            }),
            port: Some(443),
            ..one.clone()
        };
        let several = ServicesConfig {
            services: vec![service("dtr"), service("quay")],
            default: "dtr".to_owned(),
            hello_timeout_ms: 5000,
        };
        let written = serde_json::to_string(&several).expect("it is JSON");
        let mut read = PluginConfig::parse(written.as_bytes()).expect("it is right");
        assert_eq!(read, PluginConfig::Several(several));
        assert_eq!(read.take_port(), Some(443));
        assert!(read.registries().iter().all(|one| one.port.is_none()));

        for wrong in ["", "[]", "5", r#"{"services": []}"#, r#"{"fqdn": 5}"#] {
            assert!(PluginConfig::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}

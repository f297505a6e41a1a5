//! The filter's configuration: what a host hands to `proxy_on_configure`.
//!
//! The host makes it out of the operator's file, so it is explicit where that
//! file is convenient: every default is filled in, times are milliseconds.

use crate::contract::ClusterNames;
use serde::{Deserialize, Serialize};

/// The whole of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
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
    /// Who may change a replica's state on the admin listener.
    pub admin: Admin,
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

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    /// Unique; names its clusters (`443/r1`, `ping/r1`) and its metrics.
    pub name: String,
    /// Its share relative to the others, 1 to 1000.
    pub weight: u32,
    /// Used only when no other replica is usable.
    pub backup: bool,
    /// At most this many connections; `None`: no limit.
    pub max_connections: Option<u32>,
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

/// Who may change a replica's state on the admin listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The bearer token every change needs; `None`: changes need a loopback listener.
    pub token: Option<String>,
    /// Whether the admin listener is bound to a loopback address.
    pub loopback: bool,
}

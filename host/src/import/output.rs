//! The configuration as it is written; field names are those of the reference.

use std::collections::BTreeMap;

use serde::Serialize;

/// The whole file. What is `None` is left to its default.
#[derive(Debug, Serialize)]
pub(super) struct File {
    pub(super) fqdn: String,
    pub(super) replicas: Vec<Replica>,
    pub(super) listeners: Vec<Listener>,
    pub(super) policy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_down: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) slow_start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) passive: Option<Passive>,
    pub(super) health: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) admin: Option<Admin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connect_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idle_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) half_close_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_connections: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Replica {
    pub(super) name: String,
    pub(super) address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) backup: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_connections: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) ports: BTreeMap<u16, u16>,
}

#[derive(Debug, Serialize)]
pub(super) struct Listener {
    pub(super) bind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_connections: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxy_protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health: Option<Check>,
}

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) target: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) statuses: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verify: Option<String>,
}

/// What is asked unless a listener says otherwise, and when.
#[derive(Debug, Default, Serialize)]
pub(super) struct Health {
    #[serde(flatten)]
    pub(super) check: Check,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fast_interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) down_interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rise: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fall: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Passive {
    pub(super) fails: u64,
    pub(super) window: String,
    pub(super) hold: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Admin {
    pub(super) bind: String,
    pub(super) token: String,
}

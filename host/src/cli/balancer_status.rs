//! `/status` as the commands read it: what they show and decide by, and no more.

use std::fmt;
use std::ops::Deref;

use anyhow::{Context, anyhow};
use dtr_lb::HostPhase;
use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::health::verdict::Verdict;
use dtr_lb_filter::printable::printable;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::admin_client::{AdminClient, Answer};

/// What a running balancer says of itself. Texts are fit to be shown.
#[derive(Debug)]
pub(super) struct BalancerStatus {
    pub(super) head: Head,
    /// One, or one for each service.
    pub(super) registries: Vec<RegistryStatus>,
}

/// What stands at the top, whether there are services or not.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) program: Shown,
    pub(super) now_unix_ms: u64,
    pub(super) healthy: bool,
    /// Why it is not.
    pub(super) error: Shown,
    pub(super) connections: Connections,
    /// `None`: it is an Envoy.
    pub(super) host: Option<Host>,
}

/// What `/host` says.
#[derive(Debug, Deserialize)]
pub(super) struct Host {
    #[serde(default)]
    phase: HostPhase,
    connections: HostConnections,
}

/// The clients' connections, those among them that have no replica yet.
#[derive(Debug, Deserialize)]
struct HostConnections {
    active: u64,
}

/// The clients' connections.
#[derive(Debug, Deserialize)]
pub(super) struct Connections {
    pub(super) active: u64,
    /// How many there may be; `None`: the proxy does not say.
    pub(super) limit: Option<u64>,
}

/// Those of a replica.
#[derive(Debug, Deserialize)]
pub(super) struct ReplicaConnections {
    pub(super) active: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RegistryStatus {
    /// `None`: it is the only registry.
    pub(super) service: Option<ServiceStatus>,
    pub(super) fqdn: Shown,
    pub(super) listeners: Vec<ListenerStatus>,
    pub(super) replicas: Vec<ReplicaStatus>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServiceStatus {
    pub(super) name: Shown,
}

#[derive(Debug, Deserialize)]
pub(super) struct ListenerStatus {
    pub(super) port: u16,
    /// How many replicas can serve it.
    pub(super) usable: usize,
    /// What a replica must pass to serve it, by name.
    pub(super) checks: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReplicaStatus {
    pub(super) name: Shown,
    /// A word, of which there may be more in time.
    pub(super) state: Shown,
    pub(super) since_unix_ms: Option<u64>,
    pub(super) reason: Option<Shown>,
    pub(super) component: Option<Shown>,
    pub(super) error: Shown,
    pub(super) order: Order,
    /// Why, in the operator's words; may be empty.
    #[serde(default)]
    pub(super) comment: Shown,
    pub(super) usable: bool,
    pub(super) weight: u32,
    pub(super) backup: bool,
    pub(super) max_connections: Option<u32>,
    pub(super) connections: ReplicaConnections,
    pub(super) held_for_ms: Option<u64>,
    pub(super) checks: Vec<CheckStatus>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckStatus {
    pub(super) name: String,
    pub(super) verdict: Verdict,
    /// The last ones, oldest first.
    pub(super) answers: Vec<AnswerStatus>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AnswerStatus {
    pub(super) unix_ms: u64,
    pub(super) latency_us: u32,
    /// What was wrong with it; `None`: it was good.
    pub(super) reason: Option<Shown>,
}

/// A text of others, fit to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown(String);

impl BalancerStatus {
    /// Asks for it.
    ///
    /// # Errors
    /// There is no answer, or another.
    pub(super) async fn ask(client: &AdminClient) -> Result<BalancerStatus, anyhow::Error> {
        let whole = BalancerStatus::ask_whole(client).await?;
        BalancerStatus::read(&whole).with_context(|| {
            let server = client.server();
            format!("the status of {server} is of another version; status --json prints it")
        })
    }

    /// The same as it is said, fields that no command reads among it; what `/host` says
    /// is its `host`.
    ///
    /// # Errors
    /// There is no answer, or another.
    pub(super) async fn ask_whole(client: &AdminClient) -> Result<Value, anyhow::Error> {
        let server = client.server();
        let (status, host) = tokio::join!(client.get(PATH), client.get(HOST_PATH));
        let body = status?.into_body();
        let body = body.with_context(|| format!("{server}{PATH}"))?;
        let mut whole: Value = serde_json::from_str(&body)
            .with_context(|| format!("what answers at {server} is no dtr-lb"))?;
        // An Envoy has none.
        let host = host.and_then(Answer::into_body).ok();
        let host = host.and_then(|body| serde_json::from_str(&body).ok());
        if let (Some(host), Some(fields)) = (host, whole.as_object_mut()) {
            fields.insert("host".to_owned(), host);
        }
        Ok(whole)
    }

    /// # Errors
    /// It lacks something, or is of another kind.
    pub(super) fn read(whole: &Value) -> serde_json::Result<BalancerStatus> {
        let registries = match whole.get("services") {
            Some(services) => Vec::deserialize(services)?,
            None => vec![RegistryStatus::deserialize(whole)?],
        };
        Ok(BalancerStatus {
            head: Head::deserialize(whole)?,
            registries,
        })
    }

    /// The replica of this name, and whose it is.
    ///
    /// # Errors
    /// Which there are.
    pub(super) fn replica(
        &self,
        name: &str,
    ) -> Result<(&RegistryStatus, &ReplicaStatus), anyhow::Error> {
        let all = self.registries.iter().flat_map(|registry| {
            let replicas = registry.replicas.iter();
            replicas.map(move |replica| (registry, replica))
        });
        let named = all.clone().find(|(_, replica)| &*replica.name == name);
        named.ok_or_else(|| {
            let known: Vec<&str> = all.map(|(_, replica)| &*replica.name).collect();
            let name = printable(name);
            anyhow!(
                "there is no replica \"{name}\"; known: {}",
                known.join(", ")
            )
        })
    }

    /// That the balancer is about to end, and how many connections it waits for.
    pub(super) fn drain(&self) -> Option<String> {
        let host = self.head.host.as_ref()?;
        let open = match host.connections.active {
            1 => "1 connection is open".to_owned(),
            active => format!("{active} connections are open"),
        };
        match host.phase {
            HostPhase::Serving => None,
            HostPhase::DrainAnnounced => Some(format!(
                "a drain is announced: /_ping and /ready answer 503, and connections are accepted \
                 until \"drain_delay\" is over; {open}"
            )),
            HostPhase::Draining => Some(format!(
                "draining: no connections are accepted, and the process ends once the open ones \
                 have ended; {open}"
            )),
        }
    }

    /// The ports that no replica can serve, and of which registry.
    pub(super) fn unserved(&self) -> impl Iterator<Item = (&RegistryStatus, u16)> {
        self.registries.iter().flat_map(|registry| {
            let unserved = registry.listeners.iter().filter(|one| one.usable == 0);
            unserved.map(move |listener| (registry, listener.port))
        })
    }
}

impl RegistryStatus {
    /// What tells it from others: its service's name, or what clients call it.
    pub(super) fn name(&self) -> &str {
        self.service
            .as_ref()
            .map_or(&*self.fqdn, |service| &*service.name)
    }
}

impl ReplicaStatus {
    /// The answer that came last, to whichever check.
    pub(super) fn last_answer(&self) -> Option<&AnswerStatus> {
        let answers = self.checks.iter().filter_map(|check| check.answers.last());
        answers.max_by_key(|answer| answer.unix_ms)
    }
}

impl Deref for Shown {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Shown, D::Error> {
        let text = String::deserialize(from)?;
        Ok(Shown(printable(&text)))
    }
}

const PATH: &str = "/status";
const HOST_PATH: &str = "/host";

#[cfg(test)]
pub(super) mod tests;

//! The proxy of a story.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use dtr_lb_host::plan::Plan;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::envoy::Envoy;
use crate::eventually::{LIMIT, eventually};
use crate::host::Host;
use crate::http::Response;
use crate::log::Log;
use crate::replica::Standin;
use crate::world::{FQDN, Kind};

/// A running proxy; it ends with this value.
pub struct Proxy {
    process: Process,
    log: Log,
}

/// What the balancer thinks of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is given connections.
    Healthy,
    /// It is not.
    Unhealthy,
}

use Health::{Healthy, Unhealthy};

/// Where a proxy listens.
pub(crate) struct Addresses {
    /// For clients, in the order of the plan.
    pub(crate) listeners: Vec<SocketAddr>,
    /// For `/status` and the like; not Envoy's own admin pages.
    pub(crate) admin: SocketAddr,
}

enum Process {
    Envoy(Envoy),
    Host(Host),
}

impl Proxy {
    pub(crate) async fn start(
        kind: Kind,
        plan: Plan,
        filter: &[u8],
        folder: &Path,
    ) -> Result<Self> {
        let log = Log::default();
        let process = match kind {
            Kind::Envoy => Process::Envoy(Envoy::start(&plan, filter, folder, &log).await?),
            Kind::Host => Process::Host(Host::start(plan, filter, &log).await?),
        };
        Ok(Self { process, log })
    }

    /// Connects as a client.
    ///
    /// # Panics
    /// When the proxy does not listen.
    pub async fn connect(&self) -> Connection {
        self.connect_to(0).await
    }

    /// Connects to one of the listeners, in the order of the configuration.
    ///
    /// # Panics
    /// When the proxy does not listen there.
    pub async fn connect_to(&self, listener: usize) -> Connection {
        Connection::open(self.addresses().listeners[listener]).await
    }

    fn addresses(&self) -> &Addresses {
        match &self.process {
            Process::Envoy(envoy) => &envoy.addresses,
            Process::Host(host) => &host.addresses,
        }
    }

    /// Opens so many connections one after the other, each closed before the
    /// next: how many each replica answered.
    ///
    /// # Panics
    /// When one is not answered.
    pub async fn answers(&self, connections: usize) -> BTreeMap<String, usize> {
        let mut answers = BTreeMap::new();
        for _ in 0..connections {
            *answers.entry(self.connect().await.who().await).or_default() += 1;
        }
        answers
    }

    /// As [`Proxy::answers`], with so many clients at the same time.
    ///
    /// # Panics
    /// When a connection is not answered.
    pub async fn crowd(&self, clients: usize, each: usize) -> BTreeMap<String, usize> {
        let address = self.addresses().listeners[0];
        let mut crowd = JoinSet::new();
        for _ in 0..clients {
            crowd.spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..each {
                    answers.push(Connection::open(address).await.who().await);
                }
                answers
            });
        }
        let mut answers = BTreeMap::new();
        for who in crowd.join_all().await.into_iter().flatten() {
            *answers.entry(who).or_default() += 1;
        }
        answers
    }

    /// Connects again and again until this replica answers.
    ///
    /// # Panics
    /// When it never does, or nobody does.
    pub async fn reaches(&self, replica: &Standin) {
        let what = format!("{} to be given a connection", replica.name());
        eventually(LIMIT, what, async || {
            let who = self.connect().await.who().await;
            if who == replica.name() {
                Ok(())
            } else {
                Err(format!("{who} answered"))
            }
        })
        .await;
    }

    /// Waits until the balancer thinks this of the replica.
    ///
    /// # Panics
    /// When it goes on to think otherwise.
    pub async fn sees(&self, replica: &Standin, health: Health) {
        let what = format!("{} to be {health:?}", replica.name());
        eventually(LIMIT, what, async || {
            let entry = self.status_of(replica).await?;
            let wanted = match health {
                Healthy => "healthy",
                Unhealthy => "unhealthy",
            };
            if entry["state"] == wanted {
                Ok(())
            } else {
                Err(entry.to_string())
            }
        })
        .await;
    }

    /// Waits until `/status` gives this reason, and these words about it, for
    /// why the replica is not healthy.
    ///
    /// # Panics
    /// When it gives others.
    pub async fn gives_reason(&self, replica: &Standin, reason: &str, words: &str) {
        let what = format!("{} to be {reason} with {words:?}", replica.name());
        eventually(LIMIT, what, async || {
            let entry = self.status_of(replica).await?;
            let error = entry["error"].as_str().unwrap_or_default();
            if entry["reason"] == reason && error.contains(words) {
                Ok(())
            } else {
                Err(entry.to_string())
            }
        })
        .await;
    }

    /// Waits until `/status` counts so many connections of the replica: `active`,
    /// `total`, or `failures` to connect.
    ///
    /// # Panics
    /// When it counts others.
    pub async fn counts(&self, replica: &Standin, which: &str, number: usize) {
        let what = format!("{number} {which} connections of {}", replica.name());
        eventually(LIMIT, what, async || {
            let counts = self.status_of(replica).await?["connections"].take();
            if counts[which] == number {
                Ok(())
            } else {
                Err(counts.to_string())
            }
        })
        .await;
    }

    /// Waits until the log holds these words.
    ///
    /// # Panics
    /// When it does not get them.
    pub async fn logs(&self, words: &str) {
        eventually(LIMIT, format!("{words:?} in the log"), async || {
            let text = self.log.text();
            if text.contains(words) {
                Ok(())
            } else {
                Err(text)
            }
        })
        .await;
    }

    /// Waits until so many lines of the log hold these words.
    ///
    /// # Panics
    /// When fewer do.
    pub async fn logs_times(&self, words: &str, times: usize) {
        eventually(
            LIMIT,
            format!("{words:?} {times} times in the log"),
            async || {
                let lines = self.logged(words);
                if lines.len() >= times {
                    Ok(())
                } else {
                    Err(format!("{lines:#?}"))
                }
            },
        )
        .await;
    }

    /// The balancer's own `/_ping`: status and body.
    ///
    /// # Panics
    /// When it is not answered in JSON.
    pub async fn ping(&self) -> (u16, Value) {
        let answer = self
            .try_admin("/_ping")
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let json = serde_json::from_slice(&answer.body);
        let json = json.unwrap_or_else(|error| panic!("/_ping: {error}: {}", answer.text()));
        (answer.status, json)
    }

    /// Lines of the log with these words.
    pub fn logged(&self, words: &str) -> Vec<String> {
        let text = self.log.text();
        text.lines()
            .filter(|line| line.contains(words))
            .map(str::to_owned)
            .collect()
    }

    /// Gives the operator's order for a replica: `ready`, `drain` or `maintenance`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn order(&self, replica: &Standin, state: &str) {
        let body = serde_json::json!({ "state": state }).to_string();
        let request = format!(
            "PUT /replicas/{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            replica.name(),
            self.addresses().admin,
            body.len()
        );
        let mut connection = Connection::open(self.addresses().admin).await;
        let answer = connection.request(request.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// `GET`s a page of the admin listener.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn try_admin(&self, path: &str) -> Result<Response, String> {
        let admin = self.addresses().admin;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {FQDN}\r\nConnection: close\r\n\r\n");
        let mut connection = Connection::try_open(admin)
            .await
            .map_err(|error| format!("the admin listener: {error}"))?;
        let answer = connection.try_request(request.as_bytes()).await;
        answer.map_err(|error| format!("no answer to {path}: {error}"))
    }

    /// The replica's entry in `/status`.
    async fn status_of(&self, replica: &Standin) -> Result<Value, String> {
        let answer = self.try_admin("/status").await?;
        let status: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("/status: {} {error}: {}", answer.status, answer.text()))?;
        let replicas = status["replicas"].as_array().into_iter().flatten();
        let mut named = replicas.filter(|entry| entry["name"] == replica.name());
        named
            .next()
            .cloned()
            .ok_or_else(|| format!("no {} in {status}", replica.name()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the proxy's log ---\n{}", self.log.text());
        }
    }
}

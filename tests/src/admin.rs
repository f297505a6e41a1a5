//! What the proxy answers on its admin listener, and orders given there.

use serde_json::{Value, json};

use crate::connection::Connection;
use crate::eventually::{LIMIT, eventually};
use crate::http::Response;
use crate::proxy::Proxy;
use crate::standin::Standin;
use crate::world::FQDN;

/// What the balancer thinks of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is given connections.
    Healthy,
    /// It is not.
    Unhealthy,
}

impl Proxy {
    /// Waits until the balancer thinks this of the replica.
    ///
    /// # Panics
    /// When it goes on to think otherwise.
    pub async fn sees(&self, replica: &Standin, health: Health) {
        let what = format!("{} to be {health:?}", replica.name());
        eventually(LIMIT, what, async || {
            let entry = self.status_of(replica).await?;
            let wanted = match health {
                Health::Healthy => "healthy",
                Health::Unhealthy => "unhealthy",
            };
            if entry["state"] == wanted {
                Ok(())
            } else {
                Err(entry.to_string())
            }
        })
        .await;
    }

    /// Waits until `/status` lists these replicas.
    ///
    /// # Panics
    /// When it lists others.
    pub async fn lists(&self, names: &[&str]) {
        eventually(LIMIT, format!("{names:?} in /status"), async || {
            let answer = self.try_admin("/status").await?;
            let status: Value =
                serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
            let listed = entries(&status).filter_map(|it| it["name"].as_str());
            let listed: Vec<&str> = listed.collect();
            if listed == names {
                Ok(())
            } else {
                Err(format!("{listed:?}"))
            }
        })
        .await;
    }

    /// Waits until `/status` gives this reason, with this text in the error, for
    /// why the replica is not healthy.
    ///
    /// # Panics
    /// When it gives others.
    pub async fn gives_reason(&self, replica: &Standin, reason: &str, text: &str) {
        let what = format!("{} to be {reason} with {text:?}", replica.name());
        eventually(LIMIT, what, async || {
            let entry = self.status_of(replica).await?;
            let error = entry["error"].as_str().unwrap_or_default();
            if entry["reason"] == reason && error.contains(text) {
                Ok(())
            } else {
                Err(entry.to_string())
            }
        })
        .await;
    }

    /// Waits until `/status` counts `number` connections of the replica: `active`,
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

    /// Waits until `/status` counts failures to connect to the replica: so a
    /// story knows that it was tried.
    ///
    /// # Panics
    /// When none is counted.
    pub async fn failed_to_reach(&self, replica: &Standin) {
        let what = format!("a failure to connect to {}", replica.name());
        eventually(LIMIT, what, async || {
            let counts = self.status_of(replica).await?["connections"].take();
            match counts["failures"].as_u64() {
                Some(1..) => Ok(()),
                _ => Err(counts.to_string()),
            }
        })
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

    /// Gives the operator's order for a replica: `ready`, `drain` or `maintenance`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn order(&self, replica: &Standin, state: &str) {
        let body = json!({ "state": state }).to_string();
        let look = async || self.status_of(replica).await;
        let entry = eventually(LIMIT, format!("{} in /status", replica.name()), look).await;
        let request = format!(
            "PUT /replicas/{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            entry["name"].as_str().unwrap(),
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

    /// Waits until `/status` says that the replica is in this state.
    ///
    /// # Panics
    /// When it goes on to say otherwise.
    pub async fn is_in_state(&self, replica: &Standin, state: &str) {
        let what = format!("{} to be in state {state}", replica.name());
        eventually(LIMIT, what, async || {
            let entry = self.status_of(replica).await?;
            if entry["state"] == state {
                Ok(())
            } else {
                Err(entry.to_string())
            }
        })
        .await;
    }

    /// The replica's entry in `/status`.
    ///
    /// # Errors
    /// When it has none.
    pub async fn status_of(&self, replica: &Standin) -> Result<Value, String> {
        let answer = self.try_admin("/status").await?;
        let status: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("/status: {} {error}: {}", answer.status, answer.text()))?;
        let mut named = entries(&status).filter(|entry| {
            let name = entry["name"].as_str().unwrap_or_default();
            // Of one of several services it begins with that.
            name.rsplit('/').next() == Some(replica.name())
        });
        named
            .next()
            .cloned()
            .ok_or_else(|| format!("no {} in {status}", replica.name()))
    }
}

/// The entries of the replicas in a status, of one registry or of several services.
fn entries(status: &Value) -> impl Iterator<Item = &Value> {
    let services = status["services"].as_array().into_iter().flatten();
    let registries = services.chain([status]);
    registries.flat_map(|one| one["replicas"].as_array().into_iter().flatten())
}

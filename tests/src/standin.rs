//! A stand-in replica that runs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::eventually::{LIMIT, eventually};
use crate::http::Request;
use crate::ping::Ping;
use crate::probed::Probed;
use crate::replica::Leads;
use crate::traffic::Seen;

/// A running stand-in.
pub struct Standin {
    pub(crate) name: String,
    pub(crate) ports: Vec<(u16, Leads)>,
    pub(crate) config: Value,
    pub(crate) service: Endpoint,
    pub(crate) health: Endpoint,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) probed: Arc<Mutex<Probed>>,
}

impl Standin {
    /// Its name in the configuration, and in what it answers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its clients connect.
    pub fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// From now on its probes are answered like this.
    pub fn now_pings(&self, ping: Ping) {
        self.probed.lock().unwrap().ping = Some(ping);
    }

    /// The next probe is answered like this, later ones as before.
    pub fn pings_once(&self, ping: Ping) {
        self.probed.lock().unwrap().once = Some(ping);
    }

    /// From now on clients are refused, though `/_ping` still says healthy.
    pub async fn refuses_clients(&self) {
        self.service.close().await;
    }

    /// From now on connections of clients vanish, though `/_ping` still says healthy.
    pub async fn swallows_clients(&self) {
        self.service.black_hole().await;
    }

    /// From now on everybody is refused.
    pub async fn stops(&self) {
        self.service.close().await;
        self.health.close().await;
        self.health.cut().await;
    }

    /// From now on every connection vanishes, as if the machine were gone.
    pub async fn vanishes(&self) {
        self.service.black_hole().await;
        self.health.black_hole().await;
        self.health.cut().await;
    }

    /// Listens again.
    pub fn returns(&self) {
        self.service.open();
        self.health.open();
    }

    /// How many connections of clients it has accepted.
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// What its clients asked.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// Waits for a connection that sent `bytes` bytes after this side's end.
    pub async fn receives_after_its_end(&self, bytes: u64) {
        eventually(
            LIMIT,
            format!("{} to receive {bytes} bytes", self.name),
            async || {
                let heard = self.seen.lock().unwrap().heard.clone();
                if heard == [bytes] {
                    Ok(())
                } else {
                    Err(format!("{heard:?}"))
                }
            },
        )
        .await;
    }

    /// Waits for the first stream of noise to end: how many bytes it had, and
    /// where it first differed from what was wanted.
    pub async fn noise(&self) -> (usize, Option<usize>) {
        eventually(LIMIT, format!("noise to reach {}", self.name), async || {
            let noise = self.seen.lock().unwrap().noise.clone();
            noise.first().copied().ok_or_else(|| "none".to_owned())
        })
        .await
    }

    /// The probes so far.
    pub fn probes(&self) -> Vec<Request> {
        self.probed.lock().unwrap().probes.clone()
    }

    /// Waits until `more` probes have come.
    pub async fn is_probed(&self, more: usize) {
        let wanted = self.probes().len() + more;
        eventually(
            LIMIT,
            format!("{more} more probes of {}", self.name),
            async || {
                let missing = wanted.saturating_sub(self.probes().len());
                if missing == 0 {
                    Ok(())
                } else {
                    Err(format!("{missing} missing"))
                }
            },
        )
        .await;
    }

    /// Its entry in the configuration.
    pub fn config(&self) -> Value {
        let mut config = self.config.clone();
        config["name"] = self.name.as_str().into();
        let ports = self.ports.iter().map(|(port, leads)| {
            let endpoint = match leads {
                Leads::ToService => &self.service,
                Leads::ToHealth => &self.health,
            };
            (port.to_string(), Value::from(endpoint.address().port()))
        });
        config["ports"] = Value::Object(ports.collect());
        config
    }
}

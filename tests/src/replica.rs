//! Stand-in replicas.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::certificate::Authority;
use crate::endpoint::Endpoint;
use crate::eventually::{LIMIT, eventually};
use crate::http::{Request, answer};
use crate::ping::Ping;
use crate::traffic::{Seen, Traffic};
use crate::world::{FQDN, HEALTH_PORT, PORT};

/// What a stand-in replica is to be like.
pub struct Replica {
    ping: Ping,
    traffic: Traffic,
    https: Option<TlsAcceptor>,
    ports: Vec<(u16, Leads)>,
    config: Value,
}

/// Where one of the service's ports leads at a stand-in.
#[derive(Clone, Copy)]
enum Leads {
    ToService,
    ToHealth,
}

impl Replica {
    /// Healthy, and it answers HTTP.
    pub fn healthy() -> Self {
        Self {
            ping: Ping::healthy(),
            traffic: Traffic::Answers,
            https: None,
            ports: vec![(PORT, Leads::ToService), (HEALTH_PORT, Leads::ToHealth)],
            config: json!({ "address": "127.0.0.1" }),
        }
    }

    /// Answers its probes like this.
    pub fn pings(ping: Ping) -> Self {
        Self {
            ping,
            ..Self::healthy()
        }
    }

    /// Healthy, and treats its clients like this.
    pub fn serves(traffic: Traffic) -> Self {
        Self {
            traffic,
            ..Self::healthy()
        }
    }

    /// Probed over HTTPS, with a certificate of this authority.
    pub fn https(self, authority: &Authority) -> Self {
        Self {
            https: Some(authority.acceptor(FQDN)),
            ..self
        }
    }

    /// Serves this port of the service as well.
    pub fn serves_port(mut self, port: u16) -> Self {
        self.ports.push((port, Leads::ToService));
        self
    }

    /// Answers the probes of this port instead of 8080.
    pub fn probed_on(mut self, port: u16) -> Self {
        self.ports
            .retain(|(_, leads)| !matches!(leads, Leads::ToHealth));
        self.ports.push((port, Leads::ToHealth));
        self
    }

    /// Is probed where it serves.
    pub fn probed_where_it_serves(mut self) -> Self {
        self.ports
            .retain(|(_, leads)| !matches!(leads, Leads::ToHealth));
        self
    }

    /// With this field in its configuration, such as `weight`.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.config[field] = value.into();
        self
    }

    /// Starts it, under this name unless its configuration has one.
    pub(crate) fn start(self, name: &str) -> Standin {
        let own = self.config["name"].as_str().map(str::to_owned);
        let name = own.as_deref().unwrap_or(name);
        let (seen, probed) = (
            Arc::<Mutex<Seen>>::default(),
            Arc::<Mutex<Probed>>::default(),
        );
        probed.lock().unwrap().ping = Some(self.ping);

        let (owner, state) = (name.to_owned(), seen.clone());
        let service = Endpoint::new(Arc::new(move |stream| {
            let (owner, traffic, state) = (owner.clone(), self.traffic.clone(), state.clone());
            // A client that breaks off is the client's affair.
            Box::pin(async move { drop(traffic.serve(&owner, stream, &state).await) })
        }));
        let (https, state) = (self.https, probed.clone());
        let health = Endpoint::new(Arc::new(move |stream| {
            let (https, state) = (https.clone(), state.clone());
            Box::pin(async move {
                let Some(https) = https else {
                    return answer_probes(stream, None, &state).await;
                };
                // A prober that does not trust the certificate goes away.
                let Ok(stream) = https.accept(stream).await else {
                    return;
                };
                let sni = stream.get_ref().1.server_name().map(str::to_owned);
                answer_probes(stream, sni, &state).await;
            })
        }));
        service.open();
        health.open();
        Standin {
            name: name.to_owned(),
            ports: self.ports,
            config: self.config,
            service,
            health,
            seen,
            probed,
        }
    }
}

/// A running stand-in.
pub struct Standin {
    name: String,
    ports: Vec<(u16, Leads)>,
    config: Value,
    service: Endpoint,
    health: Endpoint,
    seen: Arc<Mutex<Seen>>,
    probed: Arc<Mutex<Probed>>,
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

    /// Waits for a connection that sent so many bytes after this side's end.
    pub async fn hears(&self, bytes: u64) {
        eventually(
            LIMIT,
            format!("{} to hear {bytes} bytes", self.name),
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

    /// Waits until so many more probes have come.
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
    pub(crate) fn config(&self) -> Value {
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

/// The health port's state.
#[derive(Default)]
struct Probed {
    ping: Option<Ping>,
    once: Option<Ping>,
    probes: Vec<Request>,
}

async fn answer_probes(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    sni: Option<String>,
    state: &Mutex<Probed>,
) {
    while let Ok(Some(request)) = Request::read(&mut stream).await {
        let ping = {
            let mut state = state.lock().unwrap();
            let path = request.path.clone();
            state.probes.push(Request {
                sni: sni.clone(),
                ..request
            });
            let ping = state.once.take().or_else(|| state.ping.clone());
            ping.map(|ping| ping.at(&path))
        };
        match ping {
            Some(Ping::Says(status, body)) => {
                let headers = [("content-type", "application/json")];
                let bytes = answer(status, &headers, body.as_bytes());
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Some(Ping::Sends(bytes)) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Some(Ping::Drips) => {
                let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
                while stream.write_all(&bytes).await.is_ok() {
                    bytes = b" ".to_vec();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                return;
            }
            Some(Ping::Hangs) => std::future::pending().await,
            Some(Ping::Closes | Ping::ByPath(_)) | None => return,
        }
    }
}

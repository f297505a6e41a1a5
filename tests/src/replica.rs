//! What a stand-in replica is to be like.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use crate::certificate::Authority;
use crate::endpoint::Endpoint;
use crate::ping::Ping;
use crate::probed::{Probed, answer_probes};
use crate::standin::Standin;
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
pub(crate) enum Leads {
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

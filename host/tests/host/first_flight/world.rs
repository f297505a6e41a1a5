//! A host that resends, and its replicas.

use dtr_lb::{Host, HostOptions};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::scripted::Scripted;
use crate::eventually::{START_LIMIT, eventually};
use crate::guest::Guest;
use crate::log::log;
use crate::plan::plan_of;
use crate::running::options;

/// Three replicas in order behind a host.
pub(super) struct World {
    pub(super) host: Host,
    pub(super) r0: Scripted,
    pub(super) r1: Scripted,
    pub(super) r2: Scripted,
}

impl World {
    pub(super) async fn start() -> World {
        World::with(options(), json!({})).await
    }

    pub(super) async fn with(options: HostOptions, fields: Value) -> World {
        let [r0, r1, r2] = [
            Scripted::start().await,
            Scripted::start().await,
            Scripted::start().await,
        ];
        let replica = |name: &str, replica: &Scripted| {
            let port = replica.address.port();
            json!({ "name": name, "address": "127.0.0.1", "ports": { "443": port } })
        };
        let replicas = json!([replica("r0", &r0), replica("r1", &r1), replica("r2", &r2)]);
        let mut all = json!({ "replicas": replicas });
        for (field, value) in fields.as_object().into_iter().flatten() {
            all[field] = value.clone();
        }
        let wat = Guest::steering_to("443/r0>r1>*").wat();
        let started = Host::start(plan_of(all), wat.as_bytes(), options);
        let host = timeout(START_LIMIT, started).await.unwrap().unwrap();
        World { host, r0, r1, r2 }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.host.listeners()[0]).await.unwrap()
    }

    /// Waits for a client's line in the access log.
    pub(super) async fn is_logged(
        &self,
        client: &TcpStream,
        attempts: u32,
        resent: u32,
        up: usize,
    ) {
        // Another test's client may have had this port.
        let (client, listener) = (client.local_addr().unwrap(), self.host.listeners()[0]);
        let me = format!("client={client} listener={listener} ");
        let line = eventually("a line in the access log", async || {
            let text = String::from_utf8(log().0.lock().unwrap().clone()).unwrap();
            let mine = |line: &&str| line.contains(" access: ") && line.contains(&me);
            let line = text.lines().find(mine).map(str::to_owned);
            line.ok_or_else(|| text.lines().last().unwrap_or_default().to_owned())
        })
        .await;
        let expected = format!("attempts={attempts} resent={resent} up={up} ");
        assert!(line.contains(&expected), "no {expected:?} in {line}");
    }
}

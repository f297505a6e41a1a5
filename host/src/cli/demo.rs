//! `dtr-lb demo`: three stand-in replicas and the balancer in one process.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use dtr_lb::config::Config;
use dtr_lb::plan::Plan;
use dtr_lb::standin::{Control, Registry, Replica};
use dtr_lb::{Host, HostOptions, PassedSockets};
use serde_json::json;

use super::failure::Failure;
use super::log::Log;
use super::output::print;
use super::run;
use super::signal::Signals;
use super::start;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The balancer's port for HTTP on 127.0.0.1; 0 means any free port, here and below.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    http: u16,
    /// The balancer's port for HTTPS.
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    https: u16,
    /// The admin listener's port.
    #[arg(long, value_name = "PORT", default_value_t = 8181)]
    admin: u16,
    /// The port where the stand-ins' states are changed.
    #[arg(long, value_name = "PORT", default_value_t = 8182)]
    control: u16,
}

impl Demo {
    /// Runs it until a signal.
    pub(super) fn run(self, options: HostOptions, log: &Log) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("no runtime")?;
        runtime.block_on(async {
            let mut signals = Signals::new().context("signals can't be awaited")?;
            let reopening = log.reopen_on_hang_up();
            tokio::spawn(reopening.context("signals can't be awaited")?);
            let (replicas, control) = self.stand_ins().await?;
            let plan = self.plan(&replicas)?;
            let host = start::start(PassedSockets::default(), &plan, options).await.context(
                "the demo can't start; other ports can be chosen with --http, --https, --admin and \
                 --control",
            )?;
            print(tour(&host, &replicas, &control))?;
            let signal = signals.end().await;
            run::drain(host, &plan, signal, signals).await;
            Ok(())
        })
    }

    async fn stand_ins(&self) -> Result<(Arc<[Replica]>, Control), anyhow::Error> {
        let registry = Registry::new(FQDN).context("no certificate can be made")?;
        let mut replicas = Vec::new();
        for name in ["r1", "r2", "r3"] {
            let replica = registry.replica(name, loopback(0), loopback(0)).await;
            replicas.push(replica.with_context(|| format!("replica {name} can't listen"))?);
        }
        let replicas: Arc<[Replica]> = replicas.into();
        let control = Control::start(loopback(self.control), Arc::clone(&replicas))
            .await
            .with_context(|| {
                format!(
                    "can't listen on {}; choose another port with --control",
                    loopback(self.control)
                )
            })?;
        Ok((replicas, control))
    }

    fn plan(&self, replicas: &[Replica]) -> Result<Plan, Failure> {
        let replicas: Vec<_> = replicas
            .iter()
            .map(|replica| {
                json!({
                    "name": replica.name(),
                    "address": replica.http().ip(),
                    "ports": { "80": replica.http().port(), "443": replica.https().port() },
                })
            })
            .collect();
        let config = json!({
            "fqdn": FQDN,
            "replicas": replicas,
            "listeners": [
                { "bind": loopback(self.http), "port": 80 },
                { "bind": loopback(self.https), "port": 443 },
            ],
            "health": { "interval": "1s", "timeout": "1s", "verify": "none" },
            "admin": { "bind": loopback(self.admin) },
        });
        let config = Config::parse(&config.to_string(), "demo")?;
        Ok(Plan::of(&config))
    }
}

/// Addresses, and commands to try.
fn tour(host: &Host, replicas: &[Replica], control: &Control) -> String {
    let mut listeners = host.listeners().into_iter();
    let mut next = || {
        let address = listeners.next();
        address.map_or_else(String::new, |address| address.to_string())
    };
    let (http, https) = (next(), next());
    let admin = host
        .admin()
        .map_or_else(String::new, |address| address.to_string());
    let control = control.address();
    let replicas: Vec<String> = replicas
        .iter()
        .map(|replica| {
            format!(
                "  replica {}  http://{}   https://{}",
                replica.name(),
                replica.http(),
                replica.https()
            )
        })
        .collect();
    let replicas = replicas.join("\n");
    format!(
        "\
{FQDN}: three stand-in replicas behind one balancer

  balancer    http://{http}    https://{https}
  admin       http://{admin}    / (the page)  /status  /_ping  /metrics  /ready
{replicas}

Try, in another terminal:

  # a request through the balancer; x-replica says who answered
  curl -si http://{http}/
  curl -sik https://{https}/_ping
  # make replica 2 answer 503 with an Error, and look at it leave
  curl -sd 'failing rethinkdb: no primary replica' http://{control}/r2
  curl -s http://{admin}/status
  # take its listener away; then let it come back
  curl -sd gone http://{control}/r2
  curl -sd healthy http://{control}/r2

Ctrl-C ends it.
"
    )
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

const FQDN: &str = "dtr.example.com";

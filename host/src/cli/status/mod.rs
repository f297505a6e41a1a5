//! `dtr-lb status`: what a running balancer says of its replicas.

mod live;
mod screen;
mod text;

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::json;

use super::admin_client::{AdminArgs, AdminClient, block_on};
use super::balancer_status::BalancerStatus;
use super::failure::Failure;
use super::log::Log;
use super::output::print;
use super::terminal::{Palette, Terminal};
use text::{Freshness, Look};

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    admin: AdminArgs,
    /// Show it again and again, until ctrl-C.
    #[arg(long, short, conflicts_with = "json")]
    watch: bool,
    /// How often, with --watch.
    #[arg(long, value_name = "TIME", default_value = "2s", requires = "watch", value_parser = interval)]
    interval: Duration,
    /// Print /status as it is; docs/admin.md describes it.
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Asks for the status and shows it; fails when the balancer drains, or a port of a
    /// service has no usable replica.
    pub(super) fn run(self, log: &Log) -> Result<(), Failure> {
        let client = self.client(log);
        if let Err(failure) = &client
            && self.json
        {
            print(json!({ "error": failure.to_string() }))?;
        }
        let client = client?;
        if self.watch {
            return block_on(live::watch(&client, self.interval));
        }
        let status = match self.json {
            true => {
                let asked = block_on(BalancerStatus::ask_whole(&client));
                if let Err(failure) = &asked {
                    print(json!({ "error": failure.to_string() }))?;
                }
                let whole = asked?;
                print(&whole)?;
                BalancerStatus::read(&whole)
                    .context("this status is of another version, so that nothing follows from it")?
            }
            false => {
                let status = block_on(BalancerStatus::ask(&client))?;
                let look = Look {
                    address: client.server().address,
                    width: Terminal::find().map_or(usize::MAX, |terminal| terminal.width),
                    palette: Palette::find(),
                };
                print(look.lines(&status, Freshness::Fresh).join("\n"))?;
                status
            }
        };
        if let Some(drain) = status.drain() {
            return Err(Failure::Runtime(anyhow!(drain)));
        }
        let unserved: Vec<String> = status
            .unserved()
            .map(|(registry, port)| format!("{} on port {port}", registry.name()))
            .collect();
        match unserved.is_empty() {
            true => Ok(()),
            false => Err(Failure::Runtime(anyhow!(
                "no usable replica: {}",
                unserved.join(", ")
            ))),
        }
    }

    fn client(&self, log: &Log) -> Result<AdminClient, Failure> {
        let client = self.admin.client(log)?;
        client.needs_replicas()?;
        Ok(client)
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(interval) if interval >= SHORTEST => Ok(interval),
        Ok(_) => Err("it must be 100ms or more".to_owned()),
        Err(error) => Err(format!("{error}; give a time such as 2s")),
    }
}

/// Oftener is a load on the balancer, and too fast to read.
const SHORTEST: Duration = Duration::from_millis(100);

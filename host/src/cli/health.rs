//! `dtr-lb health`: what a running balancer says of itself, for a container's health
//! check and for scripts.

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Args;
use dtr_lb::config::{Needed, Serves};
use dtr_lb::http_request;
use http::{Request, StatusCode};

use super::admin_address::AdminAddress;
use super::admin_client::block_on;
use super::failure::Failure;
use super::output::print;

#[derive(Debug, Args)]
pub(crate) struct Health {
    #[command(flatten)]
    address: AdminAddress,
}

impl Health {
    /// Asks `/_ping`, or `/ready` where no balancer is configured; fails unless it
    /// answers 200.
    pub(super) fn run(self) -> Result<(), Failure> {
        let listener = self.address.resolve(Needed::Place)?;
        let server = listener.server;
        let path = match listener.serves {
            Serves::Chain => "/ready",
            // The balancer's own health, in the registry's form.
            Serves::Replicas => "/_ping",
        };
        let asked = async {
            let request = Request::get(path).body(Bytes::new())?;
            let answer = http_request(&server, request).await;
            answer.with_context(|| format!("{server}{path}"))
        };
        let (status, body) = block_on(asked)?;
        let body = dtr_lb_filter::printable::printable(body.trim());
        match status {
            StatusCode::OK => print(body),
            _ => Err(Failure::Runtime(anyhow!("{status}: {body}"))),
        }
    }
}

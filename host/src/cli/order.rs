//! `dtr-lb drain`, `ready` and `maintenance`: what the operator orders of a replica.

mod last_usable;

use clap::Args;
use dtr_lb_filter::balance::order::Order;
use http::Method;
use serde_json::json;

use super::admin_client::{AdminArgs, block_on};
use super::balancer_status::BalancerStatus;
use super::failure::Failure;
use super::log::Log;
use super::output::print;
use super::sessions;

/// An order that brings a replica back.
#[derive(Debug, Args)]
pub(crate) struct Return {
    #[command(flatten)]
    order: OrderArgs,
}

/// An order that takes a replica out.
#[derive(Debug, Args)]
pub(crate) struct TakeOut {
    #[command(flatten)]
    order: OrderArgs,
    /// Take it out even if it is the last one that clients can be given to.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct OrderArgs {
    /// The replica, as /status names it: r1, or quay/r1 of a service.
    #[arg(value_name = "NAME")]
    replica: String,
    /// Why, for others who look at the status.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Whether the last usable replica may be taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    On,
    Off,
}

impl Return {
    pub(super) fn run(self, log: &Log) -> Result<(), Failure> {
        self.order.give(Order::Ready, Guard::Off, log)
    }
}

impl TakeOut {
    /// Takes the replica out, unless others would be missed.
    pub(super) fn run(self, order: Order, log: &Log) -> Result<(), Failure> {
        let guard = if self.force { Guard::Off } else { Guard::On };
        self.order.give(order, guard, log)
    }
}

impl OrderArgs {
    fn give(&self, order: Order, guard: Guard, log: &Log) -> Result<(), Failure> {
        let client = self.admin.client(log)?;
        client.needs_replicas()?;
        let done = async {
            let status = BalancerStatus::ask(&client).await?;
            let (registry, replica) = status.replica(&self.replica)?;
            if guard == Guard::On {
                last_usable::refuse(registry, replica)?;
            }
            let mut body = json!({ "state": order.name() });
            if let Some(comment) = &self.comment {
                body["comment"] = comment.as_str().into();
            }
            let path = format!("/replicas/{}", replica.name);
            let answer = client.ask(Method::PUT, &path, Some(body)).await?;
            answer.into_body()?;
            // The status is of this process alone, not of one whose place it has taken.
            let listed = sessions::count(&client, &replica.name).await;
            let open = match listed.unwrap_or(replica.connections.active) {
                _ if order == Order::Ready => String::new(),
                0 => "; no connection is open".to_owned(),
                1 => "; 1 open connection goes on".to_owned(),
                active => format!("; {active} open connections go on"),
            };
            let before = &replica.state;
            Ok::<_, anyhow::Error>(format!(
                "{}: {}, was {before}{open}",
                replica.name,
                order.name()
            ))
        };
        print(block_on(done)?)
    }
}

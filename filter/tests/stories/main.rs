//! What the balancer does, with time that moves by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../world/mod.rs"]
mod world;

mod choosing;
mod comparing;
mod connect_failures;
mod history;
mod orders;
mod outages;
mod probing;
mod several_vms;

use dtr_lb_filter::config::{Config, Policy};
use world::sample_config;

fn with_policy(replicas: usize, policy: Policy) -> Config {
    let mut config = sample_config(replicas);
    config.policy = policy;
    config
}

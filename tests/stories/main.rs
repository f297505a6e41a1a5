//! What an operator can rely on, each written once and run on Envoy and on the host.
#![expect(
    clippy::unwrap_used,
    reason = "what can't happen fails the story that met it"
)]

mod access_log;
mod admin;
mod all_down;
mod answers;
mod api;
mod bytes;
mod changes;
mod checks;
mod clients;
mod cluster_status;
mod counts;
mod disagreements;
mod exposition;
mod failover;
mod health;
mod host_status;
mod limits;
mod listeners;
mod log;
mod mesh;
mod metrics;
mod module;
mod operator;
mod orders;
mod policies;
mod probes;
mod proxy_protocol;
mod rest;
mod services;
mod spread;
mod status;
mod trap;
mod turns;
mod validate;

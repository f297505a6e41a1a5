//! What an operator can rely on, each told once and run on Envoy and on the host.
#![expect(
    clippy::unwrap_used,
    reason = "what can't happen fails the story that met it"
)]

mod all_down;
mod bytes;
mod counts;
mod failover;
mod health;
mod orders;
mod probes;
mod spread;
mod trap;

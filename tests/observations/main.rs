//! The small filters of `guests/` play each scene in the testkit, on a real Envoy
//! and, if they are network filters, on the standalone host. All must show the
//! same: what the guest logs after each act, and what the client is answered.
#![allow(
    clippy::unwrap_used,
    reason = "what can't happen fails the scene that met it"
)]

mod ends;
mod envoy;
mod host;
mod http;
mod kit;
mod scene;
mod tcp;
mod upstream;

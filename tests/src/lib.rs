//! Support for the stories: a [`World`] with stand-in replicas and one proxy
//! before them, which is either a real Envoy or the host, by turns.
//!
//! A story is written once, with [`on_each_proxy!`]; each proxy runs it as a
//! test of its own:
//!
//! ```text
//! on_each_proxy!(a_sick_replica_gets_no_new_connection, |world| {
//!     let well = world.replica(Replica::healthy()).await;
//!     let sick = world.replica(Replica::pings(Ping::fails("rethinkdb: down"))).await;
//!     let proxy = world.proxy().await;
//!
//!     proxy.sees(&sick, Unhealthy).await;
//!
//!     for _ in 0..10 {
//!         proxy.connect().await.answered_by(&well).await;
//!     }
//! });
//! ```
//!
//! Everything listens on loopback, on ports the kernel picks; nothing sleeps to
//! wait; and a proxy that can't be had fails the test with the remedy.
#![expect(
    clippy::unwrap_used,
    reason = "support of tests: what can't happen fails the story that met it"
)]

mod admin;
mod api;
mod certificate;
mod client_hello;
mod connection;
mod endpoint;
mod envoy;
mod envoy_binary;
mod eventually;
mod host;
mod http;
mod load;
mod log;
mod metrics;
pub mod namespace;
mod noise;
mod operator;
mod ping;
mod probed;
mod proxy;
mod replica;
mod reserved_port;
mod standin;
mod traffic;
mod trap;
mod world;

pub use admin::Health::{self, Healthy, Unhealthy};
pub use certificate::Authority;
pub use client_hello::ClientHello;
pub use connection::Connection;
pub use envoy_binary::envoy_binary;
pub use eventually::{LIMIT, eventually, within};
pub use http::{Request, Response};
pub use load::Load;
pub use log::subscribe_every_thread;
pub use metrics::Samples;
pub use noise::Noise;
pub use operator::{Ran, dtr_lb_binary};
pub use ping::Ping;
pub use proxy::Proxy;
pub use replica::Replica;
pub use reserved_port::ReservedPort;
pub use standin::Standin;
pub use traffic::Traffic;
pub use trap::{Arg, trap_when};
pub use world::{FQDN, Kind, World, patient_probes, service};

pub use dtr_lb::FILTER;

/// Runs one story on each proxy: `NAME::host` and `NAME::envoy`.
#[macro_export]
macro_rules! on_each_proxy {
    ($name:ident, |$world:ident| $body:block) => {
        mod $name {
            use super::*;

            async fn story($world: &$crate::World) $body

            #[test]
            fn host() {
                $crate::World::run($crate::Kind::Host, story);
            }

            #[test]
            fn envoy() {
                $crate::World::run($crate::Kind::Envoy, story);
            }
        }
    };
}

/// Runs a story that is true of the host alone: `NAME::host`.
#[macro_export]
macro_rules! on_host {
    ($name:ident, |$world:ident| $body:block) => {
        $crate::on_one_proxy!(Host host, $name, |$world| $body);
    };
}

/// Runs a story that is true of Envoy alone: `NAME::envoy`.
#[macro_export]
macro_rules! on_envoy {
    ($name:ident, |$world:ident| $body:block) => {
        $crate::on_one_proxy!(Envoy envoy, $name, |$world| $body);
    };
}

/// What [`on_host!`] and [`on_envoy!`] come to.
#[doc(hidden)]
#[macro_export]
macro_rules! on_one_proxy {
    ($kind:ident $test:ident, $name:ident, |$world:ident| $body:block) => {
        mod $name {
            use super::*;

            async fn story($world: &$crate::World) $body

            #[test]
            fn $test() {
                $crate::World::run($crate::Kind::$kind, story);
            }
        }
    };
}

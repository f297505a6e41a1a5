//! The standalone host, inside the test's own process.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context, Result};
use dtr_lb_host::HostOptions;
use dtr_lb_host::plan::Plan;
use tracing::instrument::WithSubscriber;

use crate::log::Log;

/// A running host; it ends with this value.
pub(crate) struct Host {
    _host: dtr_lb_host::Host,
    pub(crate) listener: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Host {
    /// Starts it with two workers.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start(plan: Plan, filter: &[u8], log: &Log) -> Result<Self> {
        let options = HostOptions {
            workers: const { NonZeroUsize::new(2).unwrap() },
            reload_backoff: Duration::from_millis(100),
            ..HostOptions::default()
        };
        let start = dtr_lb_host::Host::start(plan, filter, options);
        let host = start.with_subscriber(log.dispatch()).await?;
        let listener = *host
            .listeners()
            .first()
            .context("the plan has no listener")?;
        let admin = host.admin().context("the plan has no admin listener")?;
        Ok(Self {
            _host: host,
            listener,
            admin,
        })
    }
}

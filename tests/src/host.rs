//! The standalone host, inside the test's own process.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context, Result};
use dtr_lb_host::HostOptions;
use dtr_lb_host::plan::Plan;
use tracing::instrument::WithSubscriber;

use crate::log::Log;
use crate::proxy::Addresses;

/// A running host; it ends with this value.
pub(crate) struct Host {
    _host: dtr_lb_host::Host,
    pub(crate) addresses: Addresses,
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
        let admin = host.admin().context("the plan has no admin listener")?;
        let listeners = host.listeners().to_vec();
        Ok(Self {
            _host: host,
            addresses: Addresses {
                listeners,
                admin,
                metrics: (admin, "/metrics"),
            },
        })
    }
}

//! The standalone host, inside the test's own process.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context, Result};
use dtr_lb::HostOptions;
use dtr_lb::plan::Plan;
use tracing::instrument::WithSubscriber;

use crate::eventually::{START_LIMIT, within_limit};
use crate::log::Log;
use crate::proxy::Addresses;

/// A running host; it ends with this value.
pub(crate) struct Host {
    host: dtr_lb::Host,
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
        let start = dtr_lb::Host::start(plan, filter, options);
        let host = within_limit(
            START_LIMIT,
            "the host to start",
            start.with_subscriber(log.dispatch()),
        )
        .await?;
        let addresses = Addresses::of_host(&host)?;
        Ok(Self { host, addresses })
    }

    pub(crate) fn announce_drain(&self) {
        self.host.announce_drain();
    }

    /// Goes on with another plan and filter.
    ///
    /// # Errors
    /// When it refuses; it then goes on as before.
    pub(crate) async fn reload(&mut self, plan: Plan, filter: &[u8], log: &Log) -> Result<()> {
        let reload = self.host.reload(plan, filter);
        within_limit(
            START_LIMIT,
            "the reload",
            reload.with_subscriber(log.dispatch()),
        )
        .await?;
        self.addresses = Addresses::of_host(&self.host)?;
        Ok(())
    }
}

impl Addresses {
    /// Where a host listens.
    ///
    /// # Errors
    /// It has no admin listener.
    fn of_host(host: &dtr_lb::Host) -> Result<Addresses> {
        let admin = host.admin().context("the plan has no admin listener")?;
        Ok(Addresses {
            listeners: host.listeners().to_vec(),
            admin,
            metrics: (admin, "/metrics"),
        })
    }
}

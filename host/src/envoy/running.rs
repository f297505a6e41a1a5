//! An Envoy that runs, as its own admin pages show it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::http_get::{HttpGetError, http_get};

/// Where an Envoy serves its admin pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running(pub(super) SocketAddr);

/// What became of a file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Acceptance {
    /// Envoy has it, and its clusters can be named.
    Accepted,
    /// Envoy has refused something: the statistic that counts it.
    Rejected(String),
    /// Envoy has not said.
    Unknown,
}

/// What Envoy is to say of a file.
pub(super) struct Expected<'a> {
    /// Such as `cluster_manager.cds`: how the name of its version in Envoy's statistics
    /// ends before `.version_text`.
    pub(super) subject: &'a str,
    /// The version that was written.
    pub(super) version: &'a str,
}

type Statistics = BTreeMap<String, String>;

impl Running {
    /// How often Envoy has refused something so far; `None`: it does not answer.
    pub(super) async fn rejections(self) -> Option<Statistics> {
        self.ask(REJECTIONS).await.ok()
    }

    /// Waits until Envoy has all of this, and the clusters are ready; no longer than
    /// `limit`. `before` is what [`Running::rejections`] was before it was written.
    pub(super) async fn accepts(
        self,
        expected: &[Expected<'_>],
        before: Option<&Statistics>,
        limit: Duration,
    ) -> Acceptance {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if self.has(expected).await.unwrap_or(false) {
                return Acceptance::Accepted;
            }
            sleep(BETWEEN_LOOKS).await;
        }
        let after = self.rejections().await.unwrap_or_default();
        let refused = before.and_then(|before| {
            let mut counters = after.into_iter();
            counters.find(|(name, count)| before.get(name).map_or("0", String::as_str) != count)
        });
        refused.map_or(Acceptance::Unknown, |(name, _)| Acceptance::Rejected(name))
    }

    async fn has(self, expected: &[Expected<'_>]) -> Result<bool, HttpGetError> {
        let versions = self.ask(VERSIONS).await?;
        let has = |one: &Expected| {
            let end = format!("{}.version_text", one.subject);
            let mut versions = versions.iter();
            let found = versions.find(|(name, _)| name.ends_with(&end));
            found.is_some_and(|(_, version)| version.trim_matches('"') == one.version)
        };
        if !expected.iter().all(has) {
            return Ok(false);
        }
        // Until its name is resolved, or given up, a cluster can't be named.
        let warming = self.ask(WARMING).await?;
        Ok(warming.values().all(|count| count == "0"))
    }

    async fn ask(self, path: &str) -> Result<Statistics, HttpGetError> {
        let (_, text) = http_get(self.0, path).await?;
        let pairs = text.lines().filter_map(|line| line.split_once(": "));
        Ok(pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Texts alone are few, however many clusters there are.
const VERSIONS: &str = "/stats?type=TextReadouts";
const WARMING: &str = "/stats?type=Gauges&filter=^(cluster_manager.warming_clusters|listener_manager.total_listeners_warming)$";
const REJECTIONS: &str = "/stats?type=Counters&filter=^(cluster_manager|listener_manager|extension_config_discovery).*update_(rejected|failure)$";

//! An Envoy that runs, as its own admin pages show it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::http_client::{HttpError, http_get};

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

/// How far Envoy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    NotYet,
    /// It has it; but until its name is resolved, or given up, a cluster can't be named.
    Warming,
    Over,
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

    /// Waits until Envoy has all of this, and the clusters can be named; no longer than
    /// `limit`, unless it has it and still looks up names. `before` is what
    /// [`Running::rejections`] was before it was written.
    pub(super) async fn accepts(
        self,
        expected: &[Expected<'_>],
        before: Option<&Statistics>,
        limit: Duration,
    ) -> Acceptance {
        let began = Instant::now();
        loop {
            let limit = match self.progress(expected).await {
                Ok(Progress::Over) => return Acceptance::Accepted,
                Ok(Progress::Warming) => limit.max(LONGEST_WARMING),
                Ok(Progress::NotYet) | Err(_) => limit,
            };
            if began.elapsed() >= limit {
                break;
            }
            sleep(BETWEEN_LOOKS).await;
        }
        let after = self.rejections().await.unwrap_or_default();
        let refused = before.and_then(|before| {
            let mut counters = after.into_iter();
            counters
                .find(|(name, count)| number(count) > before.get(name).map_or(0, |it| number(it)))
        });
        refused.map_or(Acceptance::Unknown, |(name, _)| Acceptance::Rejected(name))
    }

    async fn progress(self, expected: &[Expected<'_>]) -> Result<Progress, HttpError> {
        let versions = self.ask(VERSIONS).await?;
        let has = |one: &Expected| {
            let end = format!("{}.version_text", one.subject);
            let mut versions = versions.iter();
            let found = versions.find(|(name, _)| name.ends_with(&end));
            found.is_some_and(|(_, version)| version.trim_matches('"') == one.version)
        };
        if !expected.iter().all(has) {
            return Ok(Progress::NotYet);
        }
        let warming = self.ask(WARMING).await?;
        Ok(match warming.values().all(|count| count == "0") {
            true => Progress::Over,
            false => Progress::Warming,
        })
    }

    async fn ask(self, path: &str) -> Result<Statistics, HttpError> {
        let (_, text) = http_get(self.0, path).await?;
        let pairs = text.lines().filter_map(|line| line.split_once(": "));
        Ok(pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

/// A counter's value. An Envoy that has been started again begins anew.
fn number(count: &str) -> u64 {
    count.parse().unwrap_or_default()
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// A name server that is silent holds up eight names for about ten seconds.
const LONGEST_WARMING: Duration = Duration::from_secs(120);
/// Texts alone are few, however many clusters there are.
const VERSIONS: &str = "/stats?type=TextReadouts";
const WARMING: &str = "/stats?type=Gauges&filter=^(cluster_manager.warming_clusters|listener_manager.total_listeners_warming)$";
const REJECTIONS: &str = "/stats?type=Counters&filter=^(cluster_manager|listener_manager|extension_config_discovery).*update_(rejected|failure)$";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// An Envoy that says these, each time the next, and the last for ever.
    async fn envoy(says: &'static [(&'static str, &'static str)]) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let looks = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 1024];
                let size = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..size]).into_owned();
                let look = looks.load(Ordering::Relaxed).min(says.len() - 1);
                let (version, warming) = says[look];
                let body = if request.contains("TextReadouts") {
                    format!("cluster_manager.cds.version_text: \"{version}\"\n")
                } else if request.contains("Gauges") {
                    looks.fetch_add(1, Ordering::Relaxed);
                    format!("cluster_manager.warming_clusters: {warming}\n")
                } else {
                    "cluster_manager.cds.update_rejected: 1\n".to_owned()
                };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                let answer = [head, body].concat();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Running(address)
    }

    async fn acceptance(running: Running, before: &str) -> Acceptance {
        let expected = [Expected {
            subject: "cluster_manager.cds",
            version: "new",
        }];
        let counter = "cluster_manager.cds.update_rejected".to_owned();
        let before = Statistics::from([(counter, before.to_owned())]);
        let limit = BETWEEN_LOOKS * 2;
        running.accepts(&expected, Some(&before), limit).await
    }

    #[tokio::test]
    async fn names_that_are_looked_up_are_waited_for() {
        // For longer than the limit.
        const WARMING: (&str, &str) = ("new", "3");
        let envoy = envoy(&[WARMING, WARMING, WARMING, WARMING, WARMING, ("new", "0")]).await;
        assert_eq!(acceptance(envoy, "1").await, Acceptance::Accepted);
    }

    #[tokio::test]
    async fn what_envoy_does_not_take_is_refused_or_not_known() {
        let cases = [
            (
                "0",
                Acceptance::Rejected("cluster_manager.cds.update_rejected".to_owned()),
            ),
            ("1", Acceptance::Unknown),
            // It has been started again meanwhile.
            ("2", Acceptance::Unknown),
        ];
        for (before, expected) in cases {
            let envoy = envoy(&[("old", "0")]).await;
            assert_eq!(acceptance(envoy, before).await, expected, "{before} before");
        }
        let nobody = Running("127.0.0.1:0".parse().unwrap());
        assert_eq!(acceptance(nobody, "0").await, Acceptance::Unknown);
    }
}

//! The filter's metrics, as either proxy's Prometheus text has them.

use std::collections::BTreeMap;

use crate::connection::Connection;
use crate::eventually::{LIMIT, eventually};
use crate::proxy::Proxy;

/// Samples by name and labels, the labels in alphabetical order:
/// `dtr_lb_replica_active{replica="r1"}`.
pub type Samples = BTreeMap<String, f64>;

impl Proxy {
    /// All of the filter's metrics: from the host's admin listener, or Envoy's own.
    ///
    /// # Panics
    /// When they are not served.
    pub async fn metrics(&self) -> Samples {
        let mut samples = self.all_metrics().await;
        samples.retain(|name, _| !name.starts_with("dtr_lb_host_"));
        samples
    }

    /// The filter's metrics, and the host's own.
    async fn all_metrics(&self) -> Samples {
        let text = self.metrics_text().await;
        let lines = text.lines().filter(|line| line.starts_with("dtr_lb_"));
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
                (sorted(name), value)
            })
            .collect()
    }

    /// All metrics, as they are served.
    ///
    /// # Panics
    /// When they are not.
    pub async fn metrics_text(&self) -> String {
        let (address, path) = self.addresses().metrics;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let mut connection = Connection::open(address).await;
        let answer = connection.request(request.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// Waits until a sample has this value.
    ///
    /// # Panics
    /// When it gets others.
    pub async fn measures(&self, sample: &str, value: f64) {
        eventually(LIMIT, format!("{sample} {value}"), async || {
            let samples = self.all_metrics().await;
            let found = samples.get(sample).copied();
            if found == Some(value) {
                Ok(())
            } else {
                Err(format!("{found:?} of {samples:#?}"))
            }
        })
        .await;
    }

    /// Looks whether there is no such sample.
    ///
    /// # Panics
    /// When there is.
    pub async fn does_not_measure(&self, sample: &str) {
        let samples = self.all_metrics().await;
        assert!(!samples.contains_key(sample), "{samples:#?}");
    }
}

/// The order of labels means nothing. Their values hold no comma here.
fn sorted(name: &str) -> String {
    let Some((name, labels)) = name.split_once('{') else {
        return name.to_owned();
    };
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
    labels.retain(|label| !label.is_empty());
    labels.sort_unstable();
    if labels.is_empty() {
        return name.to_owned();
    }
    format!("{name}{{{}}}", labels.join(","))
}

//! The clusters that Envoy is given: those in force, and those that may still be named.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::discovery::name;
use super::listener::longest_dial;

/// The clusters that Envoy is given, by name.
#[derive(Debug, Default)]
pub(super) struct WatchedClusters {
    in_force: BTreeMap<String, Value>,
    /// Those of plans before.
    leaving: BTreeMap<String, Leaving>,
}

/// A cluster that no filter names any more.
#[derive(Debug)]
struct Leaving {
    cluster: Value,
    /// Until then a connection may name it.
    until: Instant,
}

impl WatchedClusters {
    /// These, all in force.
    pub(super) fn new(clusters: Vec<Value>) -> WatchedClusters {
        let named = clusters.into_iter();
        WatchedClusters {
            in_force: named.map(|one| (name(&one).to_owned(), one)).collect(),
            leaving: BTreeMap::new(),
        }
    }

    /// All of them, in the same order each time.
    pub(super) fn all(&self) -> impl Iterator<Item = &Value> {
        let leaving = self.leaving.values().map(|one| &one.cluster);
        self.in_force.values().chain(leaving)
    }

    /// Has these in force. Those before stay for a while, but for those that have another
    /// of their name.
    pub(super) fn replace(&mut self, clusters: Vec<Value>) {
        let now = Instant::now();
        self.remove_leftovers(now);
        let new = WatchedClusters::new(clusters).in_force;
        let old = std::mem::replace(&mut self.in_force, new);
        let longest = old.values().map(connect_timeout).max();
        let until = now + longest_dial(longest.unwrap_or_default());
        let leaving = old.into_iter();
        let leaving = leaving.map(|(name, cluster)| (name, Leaving { cluster, until }));
        self.leaving.extend(leaving);
        self.leaving
            .retain(|name, _| !self.in_force.contains_key(name));
    }

    /// Removes those that no connection can name any more; how many.
    pub(super) fn remove_leftovers(&mut self, now: Instant) -> usize {
        let before = self.leaving.len();
        self.leaving.retain(|_, one| one.until > now);
        before - self.leaving.len()
    }

    /// When the first of those that are left can be removed; `None`: none is left.
    pub(super) fn first_leaves(&self) -> Option<Instant> {
        self.leaving.values().map(|one| one.until).min()
    }

    /// When the last of them can be removed.
    pub(super) fn last_leaves(&self) -> Option<Instant> {
        self.leaving.values().map(|one| one.until).max()
    }
}

/// How long an attempt to connect a client to a cluster may take: as it is written, such
/// as `1s` or `0.500s`. No client is connected to a cluster for probes, and a route has no
/// time of its own.
fn connect_timeout(cluster: &Value) -> Duration {
    let text = match cluster.get("outlier_detection") {
        Some(_) => cluster["connect_timeout"].as_str().unwrap_or_default(),
        None => "",
    };
    let seconds = text.trim_end_matches('s').parse().unwrap_or_default();
    let timeout = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    timeout.min(LONGEST_TIMEOUT)
}

/// Of what a file says that others may have written.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(name: &str, port: u16) -> Value {
        let outliers = json!({});
        json!({ "name": name, "port": port, "connect_timeout": "0.100s", "outlier_detection": outliers })
    }

    fn names(clusters: &WatchedClusters) -> Vec<String> {
        let all = clusters.all();
        all.map(|one| format!("{}:{}", name(one), one["port"]))
            .collect()
    }

    #[test]
    fn a_time_that_others_have_written_is_read_as_far_as_it_makes_sense() {
        for (text, seconds) in [
            ("0.250s", 0.25),
            ("5s", 5.0),
            ("-1s", 0.0),
            ("1e19s", 3600.0),
            ("NaNs", 0.0),
            ("soon", 0.0),
        ] {
            let cluster = json!({ "connect_timeout": text, "outlier_detection": {} });
            assert_eq!(connect_timeout(&cluster).as_secs_f64(), seconds, "{text}");
        }
        let mut clusters = WatchedClusters::new(vec![json!({
            "name": "a", "connect_timeout": "1e19s", "outlier_detection": {},
        })]);
        clusters.replace(Vec::new());
        assert!(clusters.last_leaves().is_some(), "it leaves in the end");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_replaced_stays_as_long_as_a_connection_may_name_it() {
        let mut clusters = WatchedClusters::new(vec![cluster("a", 1), cluster("b", 1)]);
        assert_eq!(clusters.first_leaves(), None);
        clusters.replace(vec![cluster("b", 2), cluster("c", 1)]);
        assert_eq!(
            names(&clusters),
            ["b:2", "c:1", "a:1"],
            "b is the new one at once"
        );

        let leaves = clusters.first_leaves().expect("a");
        // 20 attempts of 100 ms, and as long between them.
        assert_eq!(leaves - Instant::now(), Duration::from_secs(4));
        assert_eq!(clusters.remove_leftovers(Instant::now()), 0);
        tokio::time::advance(Duration::from_secs(3)).await;
        clusters.replace(vec![cluster("a", 2)]);
        assert_eq!(names(&clusters), ["a:2", "b:2", "c:1"], "a is back");
        assert_eq!(clusters.remove_leftovers(leaves), 0, "b and c leave later");
        let last = clusters.last_leaves().expect("b and c");
        assert_eq!(clusters.remove_leftovers(last), 2);
        assert_eq!(names(&clusters), ["a:2"]);
    }
}

//! Metrics and their names.
//!
//! | name | kind | what |
//! |---|---|---|
//! | `dtr_lb.replica.NAME.active` | gauge | connections open now |
//! | `dtr_lb.replica.NAME.healthy` | gauge | 1 while it passes all its checks |
//! | `dtr_lb.replica.NAME.usable` | gauge | 1 while it may be given connections |
//! | `dtr_lb.replica.NAME.connections` | counter | connections that reached it |
//! | `dtr_lb.replica.NAME.connect_failures` | counter | connect attempts of connections that failed |
//! | `dtr_lb.replica.NAME.probes_ok` | counter | probes with a good answer |
//! | `dtr_lb.replica.NAME.probes_failed.REASON` | counter | the others |
//! | `dtr_lb.replica.NAME.component_errors.COMPONENT` | counter | bad answers that name a part of the registry |
//! | `dtr_lb.replica.NAME.changes` | counter | times it went from healthy to unhealthy or back |
//! | `dtr_lb.listener.PORT.connections` | counter | connections given to a replica |
//! | `dtr_lb.listener.PORT.refused.REASON` | counter | connections given to none |
//! | `dtr_lb.usable` | gauge | replicas that may be given connections |
//! | `dtr_lb.not_steered` | counter | connections left to the proxy's own choice |
//!
//! [`labels`] takes a name apart; [`TAGS`] are the same rules for Envoy. Replicas'
//! names may hold dots: what follows a name is one of a fixed list, so that the
//! longest match is the name.

use crate::balance::pool::{Pool, Refusal};
use crate::balance::replica::ReplicaId;
use crate::balance::tally::Tally;
use crate::balancer::Effect;
use crate::config::Config;
use crate::health::reason::{Component, Reason};
use std::collections::{HashMap, VecDeque};

/// Something to tell the host's metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How to tell it.
    pub kind: Kind,
    /// The metric's name.
    pub name: String,
    /// What to add to a counter (0: only make it known), or to set a gauge to.
    pub value: u64,
}

/// The kinds of metrics there are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Shows what is now.
    Gauge,
}

/// Rules that turn parts of names into labels: tag and regular expression, as in
/// the `stats_tags` of Envoy's `stats_config`. The first group is what is taken
/// out of the name, the second is the label's value.
pub const TAGS: [(&str, &str); 4] = [
    (
        "replica",
        r"^wasmcustom\.dtr_lb\.replica\.((.+)\.)(?:active|healthy|usable|connections|connect_failures|changes|probes_ok|probes_failed\.[a-z-]+|component_errors\.[a-z-]+)$",
    ),
    // One rule for both: Envoy takes a tag's name only once.
    (
        "reason",
        r"^wasmcustom\.dtr_lb\.(?:replica\..+\.probes_failed|listener\.[0-9]+\.refused)(\.([a-z-]+))$",
    ),
    (
        "component",
        r"^wasmcustom\.dtr_lb\.replica\..+\.component_errors(\.([a-z-]+))$",
    ),
    ("listener", r"^wasmcustom\.dtr_lb\.listener\.(([0-9]+)\.)"),
];

const REPLICA_GAUGES: [&str; 3] = ["active", "healthy", "usable"];
const REPLICA_COUNTERS: [&str; 4] = ["connections", "connect_failures", "changes", "probes_ok"];

/// A name without its labels, and the labels: what [`TAGS`] do, without regular
/// expressions. Names that are not ours come back as they are.
pub fn labels(name: &str) -> (String, Vec<(&'static str, String)>) {
    let plain = || (name.to_owned(), Vec::new());
    if let Some(rest) = name.strip_prefix("dtr_lb.listener.") {
        let Some((port, leaf)) = rest.split_once('.') else {
            return plain();
        };
        let mut labels = vec![("listener", port.to_owned())];
        let leaf = match leaf.split_once('.') {
            Some((leaf, reason)) => {
                labels.push(("reason", reason.to_owned()));
                leaf
            }
            None => leaf,
        };
        return (format!("dtr_lb.listener.{leaf}"), labels);
    }
    let Some(rest) = name.strip_prefix("dtr_lb.replica.") else {
        return plain();
    };
    let Some((head, last)) = rest.rsplit_once('.') else {
        return plain();
    };
    if REPLICA_GAUGES.contains(&last) || REPLICA_COUNTERS.contains(&last) {
        return (
            format!("dtr_lb.replica.{last}"),
            vec![("replica", head.to_owned())],
        );
    }
    for (leaf, label) in [
        ("probes_failed", "reason"),
        ("component_errors", "component"),
    ] {
        if let Some((replica, family)) = head.rsplit_once('.')
            && family == leaf
        {
            let labels = vec![("replica", replica.to_owned()), (label, last.to_owned())];
            return (format!("dtr_lb.replica.{leaf}"), labels);
        }
    }
    plain()
}

/// What was told so far.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    told: HashMap<ReplicaId, Tally>,
    given: HashMap<u16, u64>,
    refused: HashMap<(u16, Refusal), u64>,
    /// Gauges are set by the VM that probes, from the sums of all VMs: so they
    /// come back to the truth whichever VM dies.
    gauges: HashMap<String, u64>,
}

impl Metrics {
    /// Makes all names known, so that they show as 0 before anything happened.
    pub(crate) fn declare(&mut self, config: &Config, effects: &mut VecDeque<Effect>) {
        let counter = |name: String| {
            Effect::Report(Report {
                kind: Kind::Counter,
                name,
                value: 0,
            })
        };
        for replica in &config.replicas {
            let name = &replica.name;
            let leaves = REPLICA_COUNTERS.iter().map(|leaf| (*leaf).to_owned());
            let reasons = Reason::ALL
                .iter()
                .map(|reason| format!("probes_failed.{}", reason.name()));
            // A large pool's reasons show when they happen, or there would be
            // tens of thousands of zeros.
            let reasons = reasons.take(if config.replicas.len() <= 64 {
                usize::MAX
            } else {
                0
            });
            let all = leaves.chain(reasons);
            effects.extend(all.map(|leaf| counter(format!("dtr_lb.replica.{name}.{leaf}"))));
        }
        for listener in &config.listeners {
            let port = listener.port;
            effects.push_back(counter(format!("dtr_lb.listener.{port}.connections")));
            effects.extend(Refusal::ALL.iter().map(|refusal| {
                counter(format!("dtr_lb.listener.{port}.refused.{}", refusal.name()))
            }));
        }
        effects.push_back(counter("dtr_lb.not_steered".to_owned()));
    }

    /// Tells what this VM counted since it last told.
    pub(crate) fn count(&mut self, pool: &Pool, effects: &mut VecDeque<Effect>) {
        for id in pool.ids() {
            let Some(replica) = pool.get(id) else {
                continue;
            };
            let told = self.told.entry(id).or_default();
            if *told == replica.here {
                continue;
            }
            let (now, name) = (replica.here, &replica.name);
            add(
                effects,
                format!("dtr_lb.replica.{name}.connections"),
                now.connections,
                told.connections,
            );
            add(
                effects,
                format!("dtr_lb.replica.{name}.connect_failures"),
                now.failures,
                told.failures,
            );
            *told = now;
        }
        for listener in &pool.listeners {
            let port = listener.port;
            let told = self.given.entry(port).or_default();
            add(
                effects,
                format!("dtr_lb.listener.{port}.connections"),
                listener.given,
                *told,
            );
            *told = listener.given;
            for (refusal, times) in &listener.refused {
                let told = self.refused.entry((port, *refusal)).or_default();
                let name = format!("dtr_lb.listener.{port}.refused.{}", refusal.name());
                add(effects, name, *times, *told);
                *told = *times;
            }
        }
    }

    /// Tells what is now, as far as it changed.
    pub(crate) fn gauge(&mut self, pool: &Pool, effects: &mut VecDeque<Effect>) {
        let mut usable = 0;
        for id in pool.ids() {
            let Some(replica) = pool.get(id) else {
                continue;
            };
            let is_listed = replica.place.is_some();
            let all: Vec<usize> = (0..replica.verdicts.len()).collect();
            let is_healthy = is_listed && replica.passes(&all);
            let is_usable = is_listed && pool.is_usable(id);
            usable += u64::from(is_usable);
            let name = &replica.name;
            for (leaf, value) in [
                ("active", u64::from(replica.active())),
                ("healthy", u64::from(is_healthy)),
                ("usable", u64::from(is_usable)),
            ] {
                self.set(format!("dtr_lb.replica.{name}.{leaf}"), value, effects);
            }
        }
        self.set("dtr_lb.usable".to_owned(), usable, effects);
    }

    /// Forgets what the gauges were set to: another VM set them meanwhile.
    pub(crate) fn forget_gauges(&mut self) {
        self.gauges.clear();
    }

    fn set(&mut self, name: String, value: u64, effects: &mut VecDeque<Effect>) {
        if self.gauges.get(&name) != Some(&value) {
            self.gauges.insert(name.clone(), value);
            effects.push_back(Effect::Report(Report {
                kind: Kind::Gauge,
                name,
                value,
            }));
        }
    }
}

/// Adds one to a counter.
pub(crate) fn one(name: String, effects: &mut VecDeque<Effect>) {
    add(effects, name, 1, 0);
}

fn add(effects: &mut VecDeque<Effect>, name: String, now: u64, told: u64) {
    let value = now.saturating_sub(told);
    if value > 0 {
        effects.push_back(Effect::Report(Report {
            kind: Kind::Counter,
            name,
            value,
        }));
    }
}

/// A bad answer's counters.
pub(crate) fn failed_probe(
    replica: &str,
    reason: Reason,
    component: Option<Component>,
    effects: &mut VecDeque<Effect>,
) {
    one(
        format!("dtr_lb.replica.{replica}.probes_failed.{}", reason.name()),
        effects,
    );
    if let Some(component) = component {
        one(
            format!(
                "dtr_lb.replica.{replica}.component_errors.{}",
                component.name()
            ),
            effects,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Labels<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn a_name_is_taken_apart_whatever_the_replica_is_called() {
        let cases: [(&str, &str, Labels<'_>); 8] = [
            (
                "dtr_lb.replica.r1.active",
                "dtr_lb.replica.active",
                &[("replica", "r1")],
            ),
            (
                "dtr_lb.replica.dtr-1.example.com.connections",
                "dtr_lb.replica.connections",
                &[("replica", "dtr-1.example.com")],
            ),
            (
                "dtr_lb.replica.r1.probes_failed.connect-timeout",
                "dtr_lb.replica.probes_failed",
                &[("replica", "r1"), ("reason", "connect-timeout")],
            ),
            (
                "dtr_lb.replica.a.probes_failed.probes_failed.reset",
                "dtr_lb.replica.probes_failed",
                &[("replica", "a.probes_failed"), ("reason", "reset")],
            ),
            (
                "dtr_lb.replica.r1.component_errors.garant",
                "dtr_lb.replica.component_errors",
                &[("replica", "r1"), ("component", "garant")],
            ),
            (
                "dtr_lb.listener.443.refused.all-down",
                "dtr_lb.listener.refused",
                &[("listener", "443"), ("reason", "all-down")],
            ),
            (
                "dtr_lb.listener.80.connections",
                "dtr_lb.listener.connections",
                &[("listener", "80")],
            ),
            ("dtr_lb.usable", "dtr_lb.usable", &[]),
        ];
        for (name, family, expected) in cases {
            let (found, labels) = labels(name);
            let labels: Vec<(&str, &str)> = labels
                .iter()
                .map(|(key, value)| (*key, value.as_str()))
                .collect();
            assert_eq!(
                (found.as_str(), labels.as_slice()),
                (family, expected),
                "{name}"
            );
        }
    }
}

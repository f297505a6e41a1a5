//! Names of metrics, what they mean, and what of a name becomes a label.
//!
//! | name | example |
//! |---|---|
//! | of a replica | `dtr_lb.replica.NAME.connections_total` |
//! | of a replica, with a label | `dtr_lb.replica.NAME.probes_failed_total.REASON` |
//! | of a listener | `dtr_lb.listener.PORT.connections_total` |
//! | of a listener, with a label | `dtr_lb.listener.PORT.refused_total.REASON` |
//! | of the balancer | `dtr_lb.not_steered_total` |
//! | of one of several services | `dtr_lb.usable.service.NAME` |
//!
//! [`FAMILIES`] lists them all. [`parse`] takes a name apart; [`tags`] are the same
//! rules for Envoy. Replicas' names may hold dots: what follows a name is one of a fixed
//! list, so that the longest match is the name. Only a replica whose own name ends in one
//! of those that a label follows, such as `a.probes_failed_total`, is misread by Envoy.

use crate::effect::MetricKind;

/// Metrics that differ only in their labels.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    subject: Subject,
    /// What the subject's name is followed by.
    leaf: &'static str,
    /// The label whose value follows that.
    label: Option<&'static str>,
    /// What it is.
    pub kind: MetricKind,
    /// What it tells, in one sentence.
    pub help: &'static str,
}

/// What a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// All of the balancer; or a service, where there are several.
    Balancer,
    Listener,
    Replica,
}

/// Labels' names and values.
pub type Labels = Vec<(&'static str, String)>;

/// Every metric of the filter.
pub static FAMILIES: [Family; 16] = [
    replica_gauge(ACTIVE, "Connections open now."),
    replica_gauge(HEALTHY, "1 while the replica passes all its checks."),
    replica_gauge(USABLE, "1 while the replica may be given connections."),
    replica_gauge(
        CLOCK_SKEW,
        "By how much the replica's clock differs from the median, ahead or behind.",
    ),
    replica_counter(CONNECTIONS, "Connections that reached the replica."),
    replica_counter(
        CONNECT_FAILURES,
        "Connect attempts of connections that failed.",
    ),
    replica_counter(
        CHANGES,
        "Times the replica went from healthy to unhealthy or back.",
    ),
    replica_counter(PROBES_OK, "Probes with a good answer."),
    Family {
        label: Some("reason"),
        ..replica_counter(PROBES_FAILED, "Probes without a good answer, by reason.")
    },
    Family {
        label: Some("component"),
        ..replica_counter(
            COMPONENT_ERRORS,
            "Bad answers to probes, by the part of the registry that they name.",
        )
    },
    Family {
        kind: MetricKind::Histogram,
        ..replica_counter(
            PROBE_DURATION,
            "How long probes took, from sending one to its answer or its end without one.",
        )
    },
    Family {
        subject: Subject::Listener,
        ..replica_counter(CONNECTIONS, "Connections given to a replica.")
    },
    Family {
        subject: Subject::Listener,
        label: Some("reason"),
        ..replica_counter(REFUSED, "Connections given to no replica, by reason.")
    },
    Family {
        subject: Subject::Balancer,
        ..replica_gauge(USABLE, "Replicas that may be given connections.")
    },
    Family {
        subject: Subject::Balancer,
        ..replica_counter(
            "changes_announced_total",
            "Times a VM announced to the others that verdicts or orders changed.",
        )
    },
    Family {
        subject: Subject::Balancer,
        ..replica_counter(
            "not_steered_total",
            "Connections left to the proxy's own choice.",
        )
    },
];

/// Connections left to the proxy's own choice.
pub const NOT_STEERED: &str = "dtr_lb.not_steered_total";

/// Times a VM announced that verdicts or orders changed: what VMs look at before each
/// connection.
pub const CHANGES_ANNOUNCED: &str = "dtr_lb.changes_announced_total";

/// Known of every replica.
pub(crate) const REPLICA_GAUGES: [&str; 3] = [ACTIVE, HEALTHY, USABLE];
/// Without a label of their own.
pub(crate) const REPLICA_COUNTERS: [&str; 4] = [CONNECTIONS, CONNECT_FAILURES, CHANGES, PROBES_OK];

const ACTIVE: &str = "active";
const HEALTHY: &str = "healthy";
const USABLE: &str = "usable";
/// Not known before the replica has answered.
pub(crate) const CLOCK_SKEW: &str = "clock_skew_seconds";
pub(crate) const CONNECTIONS: &str = "connections_total";
pub(crate) const CONNECT_FAILURES: &str = "connect_failures_total";
pub(crate) const CHANGES: &str = "changes_total";
pub(crate) const PROBES_OK: &str = "probes_ok_total";
const PROBES_FAILED: &str = "probes_failed_total";
const COMPONENT_ERRORS: &str = "component_errors_total";
/// A histogram of the ABI counts whole numbers.
pub(crate) const PROBE_DURATION: &str = "probe_duration_milliseconds";
const REFUSED: &str = "refused_total";
const OF_SERVICE: &str = "service.";

const fn replica_counter(leaf: &'static str, help: &'static str) -> Family {
    Family {
        subject: Subject::Replica,
        leaf,
        label: None,
        kind: MetricKind::Counter,
        help,
    }
}

const fn replica_gauge(leaf: &'static str, help: &'static str) -> Family {
    Family {
        kind: MetricKind::Gauge,
        ..replica_counter(leaf, help)
    }
}

/// The gauge of the replicas that may be given connections, of a service or of the only
/// registry.
#[must_use]
pub fn usable(service: Option<&str>) -> String {
    match service {
        None => format!("dtr_lb.{USABLE}"),
        Some(service) => format!("dtr_lb.{USABLE}.{OF_SERVICE}{service}"),
    }
}

/// A metric of a replica that has no label of its own.
pub(crate) fn replica(replica: &str, leaf: &str) -> String {
    format!("dtr_lb.replica.{replica}.{leaf}")
}

/// The counter of a replica's probes that failed for a reason.
pub(crate) fn probes_failed(replica: &str, reason: &str) -> String {
    format!("dtr_lb.replica.{replica}.{PROBES_FAILED}.{reason}")
}

/// The counter of a replica's bad answers that name a component.
pub(crate) fn component_errors(replica: &str, component: &str) -> String {
    format!("dtr_lb.replica.{replica}.{COMPONENT_ERRORS}.{component}")
}

/// The counter of the connections that a listener gave to a replica.
pub(crate) fn listener_connections(port: u16) -> String {
    format!("dtr_lb.listener.{port}.{CONNECTIONS}")
}

/// The counter of the connections that a listener refused for a reason.
#[must_use]
pub fn listener_refused(port: u16, reason: &str) -> String {
    format!("dtr_lb.listener.{port}.{REFUSED}.{reason}")
}

impl Family {
    /// Its name, without labels.
    #[must_use]
    pub fn name(&self) -> String {
        let leaf = self.leaf;
        match self.subject {
            Subject::Balancer => format!("dtr_lb.{leaf}"),
            Subject::Listener => format!("dtr_lb.listener.{leaf}"),
            Subject::Replica => format!("dtr_lb.replica.{leaf}"),
        }
    }

    /// What follows the subject's name, as a regular expression.
    fn end(&self) -> String {
        match self.label {
            None => self.leaf.to_owned(),
            Some(_) => format!(r"{}\.[a-z-]+", self.leaf),
        }
    }
}

/// Rules that turn parts of names into labels: tag and regular expression, as in
/// the `stats_tags` of Envoy's `stats_config`. The first group is what is taken
/// out of the name, the second is the label's value.
pub fn tags() -> [(&'static str, String); 5] {
    let of_replicas = (FAMILIES.iter()).filter(|family| family.subject == Subject::Replica);
    let ends: Vec<String> = of_replicas.map(Family::end).collect();
    [
        (
            "replica",
            format!(
                r"^wasmcustom\.dtr_lb\.replica\.((.+)\.)(?:{})$",
                ends.join("|")
            ),
        ),
        // One rule for both: Envoy takes a tag's name only once.
        (
            "reason",
            format!(
                r"^wasmcustom\.dtr_lb\.(?:replica\..+\.{PROBES_FAILED}|listener\.[0-9]+\.{REFUSED})(\.([a-z-]+))$"
            ),
        ),
        (
            "component",
            format!(r"^wasmcustom\.dtr_lb\.replica\..+\.{COMPONENT_ERRORS}(\.([a-z-]+))$"),
        ),
        (
            "listener",
            r"^wasmcustom\.dtr_lb\.listener\.(([0-9]+)\.)".to_owned(),
        ),
        (
            "service",
            format!(r"^wasmcustom\.dtr_lb\.{USABLE}(\.service\.(.+))$"),
        ),
    ]
}

/// Takes a name apart: what [`tags`] do, without regular expressions. `None`: it is not
/// one of ours.
pub fn parse(name: &str) -> Option<(&'static Family, Labels)> {
    let rest = name.strip_prefix("dtr_lb.")?;
    if let Some(rest) = rest.strip_prefix("listener.") {
        let (port, end) = rest.split_once('.')?;
        let (leaf, value) = match end.split_once('.') {
            Some((leaf, value)) => (leaf, Some(value)),
            None => (end, None),
        };
        return of_subject(Subject::Listener, Some(("listener", port)), leaf, value);
    }
    if let Some(rest) = rest.strip_prefix("replica.") {
        let (head, last) = rest.rsplit_once('.')?;
        let replica = |name| Some(("replica", name));
        let plain = of_subject(Subject::Replica, replica(head), last, None);
        return plain.or_else(|| {
            let (name, leaf) = head.rsplit_once('.')?;
            of_subject(Subject::Replica, replica(name), leaf, Some(last))
        });
    }
    let (leaf, end) = rest.split_once('.').unwrap_or((rest, ""));
    let service = match end {
        "" => None,
        end => Some(("service", end.strip_prefix(OF_SERVICE)?)),
    };
    of_subject(Subject::Balancer, service, leaf, None)
}

fn of_subject(
    subject: Subject,
    name: Option<(&'static str, &str)>,
    leaf: &str,
    value: Option<&str>,
) -> Option<(&'static Family, Labels)> {
    let is_it = |family: &&Family| {
        (family.subject, family.leaf) == (subject, leaf)
            && family.label.is_some() == value.is_some()
    };
    let family = FAMILIES.iter().find(is_it)?;
    let labels = name.into_iter().chain(family.label.zip(value));
    let labels = labels.map(|(label, value)| (label, value.to_owned()));
    Some((family, labels.collect()))
}

#[cfg(test)]
mod tests;

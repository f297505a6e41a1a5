//! Counts, and their Prometheus text.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::control::CloseCommand;
use crate::net::forward::Outcome;
use proxy_wasm_engine::{Direction, Metric, MetricKind, Shared};

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    ClientClosed,
    ReplicaClosed,
    ClientReset,
    ReplicaReset,
    RefusedByFilter,
    ClosedByFilter,
    NoReplica,
    Drained,
    Idle,
}

impl Reason {
    const ALL: [Reason; 9] = [
        Reason::ClientClosed,
        Reason::ReplicaClosed,
        Reason::ClientReset,
        Reason::ReplicaReset,
        Reason::RefusedByFilter,
        Reason::ClosedByFilter,
        Reason::NoReplica,
        Reason::Drained,
        Reason::Idle,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Reason::ClientClosed => "client-closed",
            Reason::ReplicaClosed => "replica-closed",
            Reason::ClientReset => "client-reset",
            Reason::ReplicaReset => "replica-reset",
            Reason::RefusedByFilter => "refused-by-filter",
            Reason::ClosedByFilter => "closed-by-filter",
            Reason::NoReplica => "no-replica",
            Reason::Drained => "drained",
            Reason::Idle => "idle",
        }
    }
}

impl From<Outcome> for Reason {
    fn from(outcome: Outcome) -> Reason {
        match outcome {
            Outcome::ClientClosed => Reason::ClientClosed,
            Outcome::ReplicaClosed => Reason::ReplicaClosed,
            Outcome::ClientReset => Reason::ClientReset,
            Outcome::ReplicaReset => Reason::ReplicaReset,
            Outcome::Idle => Reason::Idle,
            Outcome::Ordered(CloseCommand::Close) => Reason::ClosedByFilter,
            Outcome::Ordered(CloseCommand::Cut) => Reason::Drained,
        }
    }
}

/// What one worker counts. Its own, so that workers share no cache line on the
/// path of a connection; added up when somebody looks.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// 1 while the worker lives.
    pub(crate) alive: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    closed: [AtomicU64; Reason::ALL.len()],
    sent_up: AtomicU64,
    sent_down: AtomicU64,
    pub(crate) connect_failures: AtomicU64,
    pub(crate) vm_running: AtomicU64,
    pub(crate) vm_failures: AtomicU64,
    pub(crate) vm_reloads: AtomicU64,
}

impl Counters {
    pub(crate) fn closed(&self, reason: Reason) {
        self.closed[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn moved(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::Downstream => &self.sent_up,
            Direction::Upstream => &self.sent_down,
        };
        counter.fetch_add(bytes as u64, Relaxed);
    }
}

/// Everything as Prometheus text, format 0.0.4.
pub(crate) fn render(workers: &[Arc<Counters>], filter: &Shared) -> String {
    let mut text = render_host(workers);
    render_filter(&mut text, filter.metrics());
    text
}

fn render_host(workers: &[Arc<Counters>]) -> String {
    let sum = |count: fn(&Counters) -> &AtomicU64| {
        workers
            .iter()
            .map(|worker| count(worker).load(Relaxed))
            .sum::<u64>()
    };
    let closed = |reason: Reason| {
        workers
            .iter()
            .map(|worker| worker.closed[reason as usize].load(Relaxed))
            .sum::<u64>()
    };
    let accepted = sum(|worker| &worker.accepted);
    let all_closed: u64 = Reason::ALL.iter().map(|&reason| closed(reason)).sum();
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value| [(String::new(), value)];
    family(
        "dtr_lb_host_connections_accepted_total",
        "counter",
        "Connections accepted.",
        &one(accepted),
    );
    family(
        "dtr_lb_host_connections_active",
        "gauge",
        "Connections open now.",
        &one(accepted.saturating_sub(all_closed)),
    );
    family(
        "dtr_lb_host_connections_closed_total",
        "counter",
        "Connections closed, by reason.",
        &Reason::ALL.map(|reason| (label("reason", reason.as_str()), closed(reason))),
    );
    family(
        "dtr_lb_host_bytes_total",
        "counter",
        "Bytes forwarded, by the side they were sent to.",
        &[
            (label("to", "replica"), sum(|worker| &worker.sent_up)),
            (label("to", "client"), sum(|worker| &worker.sent_down)),
        ],
    );
    family(
        "dtr_lb_host_connect_failures_total",
        "counter",
        "Connect attempts to replicas that failed.",
        &one(sum(|worker| &worker.connect_failures)),
    );
    family(
        "dtr_lb_host_accept_errors_total",
        "counter",
        "Connections the system could not hand over.",
        &one(sum(|worker| &worker.accept_errors)),
    );
    family(
        "dtr_lb_host_workers",
        "gauge",
        "Workers, those that only end their connections included.",
        &one(sum(|worker| &worker.alive)),
    );
    family(
        "dtr_lb_host_vm_running",
        "gauge",
        "Workers whose filter runs.",
        &one(sum(|worker| &worker.vm_running)),
    );
    family(
        "dtr_lb_host_vm_failures_total",
        "counter",
        "Times a filter failed and was taken out.",
        &one(sum(|worker| &worker.vm_failures)),
    );
    family(
        "dtr_lb_host_vm_reloads_total",
        "counter",
        "Times a filter was put back after a failure.",
        &one(sum(|worker| &worker.vm_reloads)),
    );
    text
}

/// The filter's own metrics, under the names Envoy prints them with.
fn render_filter(text: &mut String, metrics: Vec<Metric>) {
    let mut samples: Vec<(String, String, Metric)> = metrics
        .into_iter()
        .map(|metric| {
            let (name, labels) = prometheus_name(&metric.name);
            (name, labels, metric)
        })
        .collect();
    samples.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let mut family = None;
    for (name, labels, metric) in &samples {
        if family.replace(name) != Some(name) {
            let kind = match metric.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
                MetricKind::Histogram => "histogram",
            };
            let _ = writeln!(
                text,
                "# HELP {name} Set by the filter.\n# TYPE {name} {kind}"
            );
        }
        if metric.kind == MetricKind::Histogram {
            for (bound, count) in &metric.buckets {
                let labels = with_label(labels, "le", &bound.to_string());
                let _ = writeln!(text, "{name}_bucket{labels} {count}");
            }
            let (value, sum) = (metric.value, metric.sum);
            let infinite = with_label(labels, "le", "+Inf");
            let _ = writeln!(text, "{name}_bucket{infinite} {value}");
            let _ = writeln!(
                text,
                "{name}_sum{labels} {sum}\n{name}_count{labels} {value}"
            );
        } else if metric.kind == MetricKind::Gauge {
            // A gauge may fall below zero; the ABI hands it over as 64 bits.
            let _ = writeln!(text, "{name}{labels} {}", metric.value.cast_signed());
        } else {
            let _ = writeln!(text, "{name}{labels} {}", metric.value);
        }
    }
}

/// `dtr_lb.replica.r1.active` is `dtr_lb_replica_active{replica="r1"}`, as the
/// `stats_tags` of the Envoy bootstrap make it. Another filter's names have no labels.
fn prometheus_name(name: &str) -> (String, String) {
    let (name, labels) = dtr_lb_filter::contract::metric_name::labels(name);
    let labels = labels.iter().fold(String::new(), |so_far, (label, value)| {
        with_label(&so_far, label, value)
    });
    (sanitized(&name), labels)
}

fn sanitized(name: &str) -> String {
    name.chars()
        .enumerate()
        .map(|(at, c)| match c {
            '_' | ':' => c,
            _ if c.is_ascii_alphabetic() => c,
            _ if c.is_ascii_digit() && at > 0 => c,
            _ => '_',
        })
        .collect()
}

fn label(name: &str, value: &str) -> String {
    with_label("", name, value)
}

fn with_label(labels: &str, name: &str, value: &str) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    match labels.strip_suffix('}') {
        Some(labels) => format!("{labels},{name}=\"{value}\"}}"),
        None => format!("{{{name}=\"{value}\"}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_says_of_a_replica_becomes_a_label() {
        let cases = [
            (
                "dtr_lb.replica.r1.active",
                "dtr_lb_replica_active",
                r#"{replica="r1"}"#,
            ),
            (
                "dtr_lb.replica.a.b.c.usable",
                "dtr_lb_replica_usable",
                r#"{replica="a.b.c"}"#,
            ),
            (
                "dtr_lb.replica.a\"b.probes_failed.refused",
                "dtr_lb_replica_probes_failed",
                r#"{replica="a\"b",reason="refused"}"#,
            ),
            ("dtr_lb.usable", "dtr_lb_usable", ""),
            ("other-filter.count", "other_filter_count", ""),
        ];
        for (name, expected, labels) in cases {
            assert_eq!(
                prometheus_name(name),
                (expected.to_owned(), labels.to_owned()),
                "{name}"
            );
        }
    }

    #[test]
    fn one_family_has_one_type_line() {
        let metric = |name: &str, kind, value| Metric {
            kind,
            name: name.to_owned(),
            value,
            sum: 7,
            buckets: vec![(5, 1)],
        };
        let mut text = String::new();
        let metrics = vec![
            metric("dtr_lb.replica.r2.active", MetricKind::Gauge, 2),
            metric("dtr_lb.took", MetricKind::Histogram, 3),
            metric("dtr_lb.replica.r1.active", MetricKind::Gauge, u64::MAX),
        ];
        render_filter(&mut text, metrics);
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("# HELP"))
            .collect();
        let expected = [
            "# TYPE dtr_lb_replica_active gauge",
            "dtr_lb_replica_active{replica=\"r1\"} -1",
            "dtr_lb_replica_active{replica=\"r2\"} 2",
            "# TYPE dtr_lb_took histogram",
            "dtr_lb_took_bucket{le=\"5\"} 1",
            "dtr_lb_took_bucket{le=\"+Inf\"} 3",
            "dtr_lb_took_sum 7",
            "dtr_lb_took_count 3",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_open_is_what_was_accepted_and_not_closed() {
        let workers = [Arc::new(Counters::default()), Arc::new(Counters::default())];
        workers[0].accepted.store(3, Relaxed);
        workers[1].accepted.store(2, Relaxed);
        workers[1].closed(Reason::Idle);
        workers[0].moved(Direction::Upstream, 10);
        let mut text = render_host(&workers);
        text.push('\n');
        for line in [
            "dtr_lb_host_connections_accepted_total 5\n",
            "dtr_lb_host_connections_active 4\n",
            "dtr_lb_host_connections_closed_total{reason=\"idle\"} 1\n",
            "dtr_lb_host_bytes_total{to=\"client\"} 10\n",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}

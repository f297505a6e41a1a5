//! The metrics of filters as Prometheus text.

use std::collections::{BTreeMap, HashSet};

use crate::metrics::exposition::{Distribution, Exposition, with_label};
use dtr_lb_filter::contract::metric_name;
use proxy_wasm_engine::{Metric, MetricKind};

/// Without the gauges of replicas and services that are not among these: the filter that
/// set them is gone, and what they say holds no more. Counters stay, since they never fall.
pub(crate) fn of_plan(
    metrics: Vec<Metric>,
    replicas: &HashSet<String>,
    services: Option<&[String]>,
) -> Vec<Metric> {
    let of_the_only_registry = metric_name::usable(None);
    let is_gone = |metric: &Metric| {
        let labels = metric_name::parse(&metric.name).map(|(_, labels)| labels);
        let is_unknown = |(label, value): &(&str, String)| match *label {
            "replica" => !replicas.contains(value),
            "service" => !services.is_some_and(|services| services.contains(value)),
            _ => false,
        };
        labels.iter().flatten().any(is_unknown)
            || services.is_some() && metric.name == of_the_only_registry
    };
    let mut metrics = metrics;
    metrics.retain(|metric| metric.kind != MetricKind::Gauge || !is_gone(metric));
    metrics
}

/// The metrics of filters. Ours are named as Envoy prints them, but for histograms, which
/// the ABI has of whole numbers only: what is counted in milliseconds is shown in seconds.
pub(super) fn render_filter(text: &mut Exposition, metrics: Vec<Metric>) {
    let mut families: BTreeMap<(String, MetricKind), Family> = BTreeMap::new();
    for metric in metrics {
        let (name, help, labels) = match metric_name::parse(&metric.name) {
            Some((family, labels)) => (sanitized(&family.name()), family.help, labels),
            None => (sanitized(&metric.name), "Set by a filter.", Vec::new()),
        };
        let labels = labels.iter().fold(String::new(), |so_far, (label, value)| {
            with_label(&so_far, label, value)
        });
        let family = families.entry((name, metric.kind)).or_default();
        family.help = help;
        family.samples.push((labels, metric));
    }
    for ((name, kind), mut family) in families {
        let help = family.help;
        family.samples.sort_by(|(a, _), (b, _)| a.cmp(b));
        let samples = family.samples.into_iter();
        match kind {
            MetricKind::Counter => {
                let samples = samples.map(|(labels, metric)| (labels, metric.value));
                text.counters(&name, help, samples);
            }
            MetricKind::Gauge => {
                // A gauge may fall below zero; the ABI hands it over as 64 bits.
                let value = |metric: Metric| metric.value.cast_signed();
                let samples = samples.map(|(labels, metric)| (labels, value(metric)));
                text.gauges(&name, help, samples);
            }
            MetricKind::Histogram => {
                let (name, unit) = match name.strip_suffix("_milliseconds") {
                    Some(name) => (format!("{name}_seconds"), 1e3),
                    None => (name, 1.0),
                };
                let samples = samples.map(|(labels, metric)| (labels, distribution(&metric, unit)));
                text.histograms(&name, help, samples);
            }
        }
    }
}

/// Metrics of one name.
#[derive(Default)]
struct Family {
    help: &'static str,
    /// With their labels.
    samples: Vec<(String, Metric)>,
}

/// What a histogram has counted, in a unit that is a multiple of its own.
fn distribution(metric: &Metric, unit: f64) -> Distribution {
    let buckets = metric.buckets.iter();
    Distribution {
        buckets: buckets
            .map(|(bound, below)| (*bound as f64 / unit, *below))
            .collect(),
        count: metric.value,
        sum: metric.sum as f64 / unit,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_has_no_gauges() {
        let metric = |name, kind| metric(name, kind, 1);
        let metrics = vec![
            metric("dtr_lb.replica.r1.active", MetricKind::Gauge),
            metric("dtr_lb.replica.r2.active", MetricKind::Gauge),
            metric("dtr_lb.replica.r2.connections_total", MetricKind::Counter),
            metric("dtr_lb.usable", MetricKind::Gauge),
            metric("dtr_lb.usable.service.dtr", MetricKind::Gauge),
            metric("dtr_lb.usable.service.quay", MetricKind::Gauge),
            metric("other.filter", MetricKind::Gauge),
        ];
        let replicas = HashSet::from(["r1".to_owned()]);
        let services = ["dtr".to_owned()];
        let cases = [
            (None, "dtr_lb.usable"),
            (Some(&services[..]), "dtr_lb.usable.service.dtr"),
        ];
        for (services, usable) in cases {
            let left = of_plan(metrics.clone(), &replicas, services);
            let left: Vec<_> = left.iter().map(|metric| metric.name.as_str()).collect();
            let expected = [
                "dtr_lb.replica.r1.active",
                "dtr_lb.replica.r2.connections_total",
                usable,
                "other.filter",
            ];
            assert_eq!(left, expected, "{services:?}");
        }
    }

    /// What is shown of metrics, in the order of the lines.
    fn shown(metrics: Vec<Metric>) -> Vec<String> {
        let mut text = Exposition::default();
        render_filter(&mut text, metrics);
        text.into_text().lines().map(str::to_owned).collect()
    }

    fn metric(name: &str, kind: MetricKind, value: u64) -> Metric {
        Metric {
            kind,
            name: name.to_owned(),
            value,
            sum: 7,
            buckets: match kind {
                MetricKind::Histogram => vec![(5, 1)],
                MetricKind::Counter | MetricKind::Gauge => Vec::new(),
            },
        }
    }

    #[test]
    fn what_a_name_says_of_a_replica_becomes_a_label() {
        let cases = [
            (
                "dtr_lb.replica.r1.active",
                r#"dtr_lb_replica_active{replica="r1"}"#,
            ),
            (
                "dtr_lb.replica.a.b.c.usable",
                r#"dtr_lb_replica_usable{replica="a.b.c"}"#,
            ),
            (
                "dtr_lb.replica.a\"b.probes_failed_total.refused",
                r#"dtr_lb_replica_probes_failed_total{replica="a\"b",reason="refused"}"#,
            ),
            ("dtr_lb.usable", "dtr_lb_usable"),
            (
                "dtr_lb.usable.service.dtr.example.com",
                r#"dtr_lb_usable{service="dtr.example.com"}"#,
            ),
            ("other-filter.count", "other_filter_count"),
        ];
        for (name, expected) in cases {
            let lines = shown(vec![metric(name, MetricKind::Gauge, 1)]);
            assert_eq!(lines.last(), Some(&format!("{expected} 1")), "{name}");
        }
    }

    #[test]
    fn one_family_has_one_head() {
        let lines = shown(vec![
            metric("dtr_lb.replica.r2.active", MetricKind::Gauge, 2),
            metric("other.took", MetricKind::Histogram, 3),
            metric("dtr_lb.replica.r1.active", MetricKind::Gauge, u64::MAX),
        ]);
        let expected = [
            "# HELP dtr_lb_replica_active Connections open now.",
            "# TYPE dtr_lb_replica_active gauge",
            "dtr_lb_replica_active{replica=\"r1\"} -1",
            "dtr_lb_replica_active{replica=\"r2\"} 2",
            "# HELP other_took Set by a filter.",
            "# TYPE other_took histogram",
            "other_took_bucket{le=\"5\"} 1",
            "other_took_bucket{le=\"+Inf\"} 3",
            "other_took_sum 7",
            "other_took_count 3",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn milliseconds_are_shown_in_seconds() {
        let name = "dtr_lb.replica.r1.probe_duration_milliseconds";
        let lines = shown(vec![metric(name, MetricKind::Histogram, 3)]);
        let expected = [
            "# TYPE dtr_lb_replica_probe_duration_seconds histogram",
            "dtr_lb_replica_probe_duration_seconds_bucket{replica=\"r1\",le=\"0.005\"} 1",
            "dtr_lb_replica_probe_duration_seconds_bucket{replica=\"r1\",le=\"+Inf\"} 3",
            "dtr_lb_replica_probe_duration_seconds_sum{replica=\"r1\"} 0.007",
            "dtr_lb_replica_probe_duration_seconds_count{replica=\"r1\"} 3",
        ];
        assert_eq!(lines[1..], expected);
    }
}

//! The metrics of filters as Prometheus text.

use std::collections::HashSet;
use std::fmt::Write;

use crate::metrics::label::with_label;
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
        let (_, labels) = metric_name::labels(&metric.name);
        let is_unknown = |(label, value): &(&str, String)| match *label {
            "replica" => !replicas.contains(value),
            "service" => !services.is_some_and(|services| services.contains(value)),
            _ => false,
        };
        labels.iter().any(is_unknown) || services.is_some() && metric.name == of_the_only_registry
    };
    let mut metrics = metrics;
    metrics.retain(|metric| metric.kind != MetricKind::Gauge || !is_gone(metric));
    metrics
}

/// The filter's own metrics, under the names Envoy prints them with.
pub(super) fn render_filter(text: &mut String, metrics: Vec<Metric>) {
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
    let (name, labels) = metric_name::labels(name);
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
            (
                "dtr_lb.usable.service.dtr.example.com",
                "dtr_lb_usable",
                r#"{service="dtr.example.com"}"#,
            ),
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
    fn what_is_gone_has_no_gauges() {
        let metric = |name: &str, kind| Metric {
            kind,
            name: name.to_owned(),
            value: 1,
            sum: 0,
            buckets: Vec::new(),
        };
        let metrics = vec![
            metric("dtr_lb.replica.r1.active", MetricKind::Gauge),
            metric("dtr_lb.replica.r2.active", MetricKind::Gauge),
            metric("dtr_lb.replica.r2.connections", MetricKind::Counter),
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
                "dtr_lb.replica.r2.connections",
                usable,
                "other.filter",
            ];
            assert_eq!(left, expected, "{services:?}");
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
}

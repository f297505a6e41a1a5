use super::*;
use crate::balance::listener::ListenerId;
use crate::balance::stream::StreamId;
use crate::contract::metric_name::{FAMILIES, Labels, parse, tags};
use crate::effect::{Effect, MetricKind};
use crate::health::reason::Component;
use crate::random::Random;
use crate::sample;
use regex::Regex;

fn reports(effects: &mut Effects) -> Vec<(MetricKind, String, u64)> {
    std::iter::from_fn(|| effects.pop())
        .map(|effect| match effect {
            Effect::Report(report) => (report.kind, report.name, report.value),
            other => panic!("not a report: {other:?}"),
        })
        .collect()
}

/// Every metric of the filter, for replicas with names that are hard to tell apart
/// from what follows them.
fn all_names() -> Vec<String> {
    let mut config = sample::config(5);
    let names = [
        "r1",
        "dtr-1.example.com",
        "a.probes_failed_total.b",
        "healthy",
        "x.connections_total",
    ];
    for (replica, name) in config.replicas.iter_mut().zip(names) {
        name.clone_into(&mut replica.name);
    }
    let mut effects = Effects::default();
    let mut metrics = Metrics::default();
    metrics.declare(&config, &mut effects);
    metrics.gauge(&crate::balance::pool::Pool::new(&config, 1), &mut effects);
    let reports = reports(&mut effects).into_iter();
    let mut found: Vec<String> = reports.map(|(_, name, _)| name).collect();
    for name in names {
        let component =
            |component: Component| metric_name::component_errors(name, component.name());
        found.extend(Component::ALL.map(component));
        for leaf in [metric_name::CLOCK_SKEW, metric_name::PROBE_DURATION] {
            found.push(metric_name::replica(name, leaf));
        }
    }
    found.push(metric_name::CHANGES_ANNOUNCED.to_owned());
    found.push(metric_name::usable(Some("dtr.example.com")));
    found
}

/// As Envoy does: each rule takes its first group out of the name, and its second
/// is the label's value.
fn by_tags(name: &str) -> (String, Labels) {
    let full = format!("wasmcustom.{name}");
    let mut left = full.clone();
    let mut labels = Vec::new();
    for (label, rule) in tags() {
        if let Some(found) = Regex::new(&rule).unwrap().captures(&full) {
            left = left.replacen(&found[1], "", 1);
            labels.push((label, found[2].to_owned()));
        }
    }
    (left.replacen("wasmcustom.", "", 1), labels)
}

#[test]
fn envoys_tags_and_our_labels_are_the_same_for_every_metric() {
    let names = all_names();
    assert!(names.len() > 100, "{names:?}");
    let mut families: Vec<_> = FAMILIES.iter().collect();
    for name in names {
        let (family, labels) = parse(&name).unwrap_or_else(|| panic!("{name} is not listed"));
        let (mut expected, mut found) = ((family.name(), labels), by_tags(&name));
        expected.1.sort_unstable();
        found.1.sort_unstable();
        assert_eq!(found, expected, "{name}");
        let is_plain = matches!(
            name.as_str(),
            "dtr_lb.usable" | metric_name::NOT_STEERED | metric_name::CHANGES_ANNOUNCED
        );
        assert_eq!(expected.1.is_empty(), is_plain, "{name}");
        families.retain(|listed| *listed != family);
    }
    assert!(families.is_empty(), "nothing reports these: {families:?}");
}

#[test]
fn a_counter_is_reported_once_and_a_gauge_when_it_changes() {
    let config = sample::config(1);
    let mut pool = Pool::new(&config, 1);
    pool.set_verdicts(1, std::iter::empty(), crate::time::Moment::START);
    let (mut metrics, mut effects) = (Metrics::default(), Effects::default());
    let mut connections = Connections::default();
    let listener = ListenerId(0);
    let chosen = pool.choose(listener, 0, &mut Random::seeded(1)).unwrap();
    connections.opened(StreamId(1), listener, chosen.replica);
    let outcome = crate::balance::stream::UpstreamOutcome::Reached("r1");
    connections.located(StreamId(1), outcome, &pool);

    metrics.count(&pool, &connections, &mut effects);
    let counted = |name: &str| (MetricKind::Counter, name.to_owned(), 1);
    assert_eq!(
        reports(&mut effects),
        [
            counted("dtr_lb.replica.r1.connections_total"),
            counted("dtr_lb.listener.443.connections_total"),
        ]
    );
    metrics.count(&pool, &connections, &mut effects);
    assert_eq!(reports(&mut effects), [], "nothing new");

    metrics.gauge(&pool, &mut effects);
    assert_eq!(reports(&mut effects).len(), 4);
    metrics.gauge(&pool, &mut effects);
    assert_eq!(reports(&mut effects), [], "nothing changed");
    metrics.forget_gauges();
    metrics.gauge(&pool, &mut effects);
    assert_eq!(
        reports(&mut effects).len(),
        4,
        "another VM set them meanwhile"
    );
}

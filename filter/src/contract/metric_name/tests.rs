use super::*;

type Expected<'a> = &'a [(&'a str, &'a str)];

#[test]
fn a_name_is_taken_apart_whatever_the_replica_is_called() {
    let cases: [(&str, &str, Expected<'_>); 10] = [
        (
            "dtr_lb.replica.r1.active",
            "dtr_lb.replica.active",
            &[("replica", "r1")],
        ),
        (
            "dtr_lb.replica.dtr-1.example.com.connections_total",
            "dtr_lb.replica.connections_total",
            &[("replica", "dtr-1.example.com")],
        ),
        (
            "dtr_lb.replica.r1.probes_failed_total.connect-timeout",
            "dtr_lb.replica.probes_failed_total",
            &[("replica", "r1"), ("reason", "connect-timeout")],
        ),
        (
            "dtr_lb.replica.a.probes_failed_total.probes_failed_total.reset",
            "dtr_lb.replica.probes_failed_total",
            &[("replica", "a.probes_failed_total"), ("reason", "reset")],
        ),
        (
            "dtr_lb.replica.r1.component_errors_total.garant",
            "dtr_lb.replica.component_errors_total",
            &[("replica", "r1"), ("component", "garant")],
        ),
        (
            "dtr_lb.listener.443.refused_total.all-down",
            "dtr_lb.listener.refused_total",
            &[("listener", "443"), ("reason", "all-down")],
        ),
        (
            "dtr_lb.listener.80.connections_total",
            "dtr_lb.listener.connections_total",
            &[("listener", "80")],
        ),
        ("dtr_lb.usable", "dtr_lb.usable", &[]),
        (
            "dtr_lb.usable.service.dtr.example.com",
            "dtr_lb.usable",
            &[("service", "dtr.example.com")],
        ),
        (
            "dtr_lb.replica.dtr.example.com/r1.usable",
            "dtr_lb.replica.usable",
            &[("replica", "dtr.example.com/r1")],
        ),
    ];
    for (name, family, expected) in cases {
        let (found, labels) = parse(name).unwrap();
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        assert_eq!(
            (found.name().as_str(), labels.as_slice()),
            (family, expected),
            "{name}"
        );
    }
}

#[test]
fn a_name_of_another_filter_is_left_alone() {
    for name in [
        "dtr_lb.usable_by_nobody",
        "dtr_lb.usable.weekday.monday",
        "dtr_lb.listener.443.connections_total.all-down",
        "dtr_lb.replica.r1.probes_failed_total",
        "dtr_lb.replica.active",
        "other.active",
    ] {
        assert_eq!(parse(name), None, "{name}");
    }
}

#[test]
fn every_family_follows_the_conventions_of_prometheus() {
    for family in &FAMILIES {
        let (name, help) = (family.name(), family.help);
        let is_counter = family.kind == MetricKind::Counter;
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        assert!(
            help.ends_with('.') && !help.contains('\n'),
            "{name}: {help}"
        );
    }
    assert_eq!(parse(NOT_STEERED).unwrap().0.name(), NOT_STEERED);
    assert_eq!(
        parse(CHANGES_ANNOUNCED).unwrap().0.name(),
        CHANGES_ANNOUNCED
    );
}

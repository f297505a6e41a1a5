use super::*;

type Labels<'a> = &'a [(&'a str, &'a str)];

#[test]
fn a_name_is_taken_apart_whatever_the_replica_is_called() {
    let cases: [(&str, &str, Labels<'_>); 11] = [
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
        ("dtr_lb.usable_by_nobody", "dtr_lb.usable_by_nobody", &[]),
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

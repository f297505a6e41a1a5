use super::*;

#[test]
fn what_is_no_configuration_is_refused_with_place_and_remedy() {
    assert_refused(vec![
        (
            "{".into(),
            "lb.json: not JSON at line 1, column 1: EOF while parsing an object; check",
        ),
        (
            "{} {}".into(),
            r#"lb.json: fqdn: missing; give the registry's name, such as "dtr.example.com""#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1"}]"#) + "x",
            "lb.json: more text after the end of the configuration, at line 1,",
        ),
        ("[]".into(), "lb.json: expected an object in braces"),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "ports": {"443": 1, "443": 2}}]"#),
            r#"lb.json: line 1: "443" is given twice; leave one of them"#,
        ),
        (
            with(r#""health": {"headers": {"X-Probe": "1", "x-probe": "2"}}"#),
            r#"lb.json: line 1: "x-probe" is given twice; leave one of them"#,
        ),
        (
            with(r#""listeners": {}"#),
            "lb.json: listeners is {}; expected a list in brackets",
        ),
        (
            r#"{"fqdn": "a.example"}"#.into(),
            r#"lb.json: replicas: missing; list them, such as [{"address": "10.0.0.11"}]"#,
        ),
        (
            with(r#""fqdn": "b.example""#),
            r#"lb.json: line 1: "fqdn" is given twice; leave one of them"#,
        ),
        (
            with(r#""polcy": "round-robin""#),
            r#"lb.json: unknown field "polcy" here; did you mean "policy"? known: fqdn, replicas,"#,
        ),
        (
            with(r#""health": {"intervall": "2s"}"#),
            r#"lb.json: unknown field "intervall" in health; did you mean "interval"? known: preset,"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "zzz": 1}]"#),
            r#"lb.json: unknown field "zzz" in replicas[0]; remove it; known: name, id, address"#,
        ),
        (
            with_replicas(r#"[{"name": "r1"}]"#),
            "lb.json: replicas[0].address: missing; give the replica's IP address or DNS name",
        ),
        (
            with(r#""health": {"body": {"pointer": "/status"}}"#),
            "lb.json: health.body.healthy: missing; give the value a healthy answer has there",
        ),
    ]);
}

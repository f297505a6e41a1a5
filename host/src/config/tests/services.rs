//! Several registries in one file.

use std::time::Duration;

use super::errors::assert_errors;
use super::*;

/// A file of these services.
fn with_services(services: &[&str], more: &str) -> String {
    format!(r#"{{ "services": [{}]{more} }}"#, services.join(", "))
}

fn services(text: &str) -> Services {
    match ConfigFile::parse(text, "lb.json") {
        Ok(ConfigFile::Services(services)) => *services,
        other => panic!("{text}: {other:?}"),
    }
}

const DTR: &str = r#"{"fqdn": "dtr.example.com", "replicas": [{"address": "10.0.0.1"}]}"#;

#[test]
fn each_service_has_its_own_and_all_share_the_rest() {
    let quay = r#"{"name": "quay", "fqdn": "quay.example.com", "names": ["*.quay.example.com"],
        "replicas": [{"address": "10.0.1.1"}, {"name": "b", "address": "10.0.1.2"}],
        "policy": "source-hash", "min_healthy": 2,
        "health": {"preset": "quay", "interval": "9s"}}"#;
    let more = r#", "default": "quay", "hello_timeout": "3s", "listeners": [{"bind": "[::]:443"}],
        "admin": {"bind": "127.0.0.1:8181"}, "max_connections": 9"#;
    let read = services(&with_services(&[DTR, quay], more));

    assert_eq!(
        (read.default.as_str(), read.hello_timeout),
        ("quay", Duration::from_secs(3))
    );
    let [dtr, quay] = &read.services[..] else {
        panic!("{read:?}")
    };
    let service = |config: &Config| config.service.clone().unwrap();
    assert_eq!(service(dtr).name, "dtr.example.com");
    assert_eq!(service(dtr).names, ["dtr.example.com"]);
    assert_eq!(service(quay).name, "quay");
    assert_eq!(
        service(quay).names,
        ["quay.example.com", "*.quay.example.com"]
    );
    assert_eq!(dtr.replicas[0].name, "dtr.example.com/r1");
    let names: Vec<&str> = quay.replicas.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["quay/r1", "quay/b"]);
    assert_eq!((dtr.min_healthy, quay.min_healthy), (1, 2));
    assert_eq!(dtr.checks[0].target(), "https:443/_ping");
    assert_eq!(quay.checks[0].target(), "https:443/health/instance");
    assert_eq!(dtr.listeners, quay.listeners);
    assert_eq!(dtr.admin, quay.admin);
    assert_eq!(
        (dtr.max_connections, quay.max_connections),
        (Some(9), Some(9))
    );
}

#[test]
fn the_first_is_the_default_and_ten_seconds_are_the_limit() {
    let quay = r#"{"fqdn": "quay.example.com", "replicas": [{"address": "10.0.1.1"}]}"#;
    let read = services(&with_services(&[DTR, quay], ""));
    assert_eq!(read.default, "dtr.example.com");
    assert_eq!(read.hello_timeout, Duration::from_secs(10));
    assert_eq!(read.services[0].listeners.len(), 2, "80 and 443");
}

#[test]
fn what_is_wrong_names_the_service_and_the_field() {
    let service = |fields: &str| {
        format!(r#"{{"fqdn": "a.example", "replicas": [{{"address": "10.0.0.9"}}], {fields}}}"#)
    };
    let cases: Vec<(String, &[&str])> = vec![
        (
            r#"{"services": []}"#.to_owned(),
            &["services is []; no service; add at least one, such as {"],
        ),
        (
            r#"{"services": 5}"#.to_owned(),
            &["services is 5; expected a list in brackets"],
        ),
        (
            with_services(&[DTR, "5"], ""),
            &["services[1] is 5; expected an object in braces"],
        ),
        (
            with_services(&[DTR, "{}"], ""),
            &[
                "services[1].fqdn: missing; give",
                "services[1].replicas: missing; list",
            ],
        ),
        (
            with_services(&[DTR, &service(r#""policy": "fastest""#)], ""),
            &["services[1].policy is \"fastest\"; expected one of"],
        ),
        (
            with_services(
                &[
                    DTR,
                    &service(r#""health": {"interval": "1s", "timeout": "2s"}"#),
                ],
                "",
            ),
            &["services[1].health.interval is \"1s\"; shorter than"],
        ),
        (
            with_services(&[DTR, &service(r#""polcy": "round-robin""#)], ""),
            &[
                "unknown field \"polcy\" in services[1]; did you mean \"policy\"? known: name, \
                 names, fqdn, replicas, policy,",
            ],
        ),
        (
            with_services(
                &[DTR, &service(r#""names": ["*.a", "a.*.b", "http://c"]"#)],
                "",
            ),
            &[
                "services[1].names[1] is \"a.*.b\"; expected names that clients ask for",
                "services[1].names[2] is \"http://c\"; expected names that clients ask for",
            ],
        ),
        (
            with_services(&[DTR, &service(r#""name": "a/b""#)], ""),
            &["services[1].name is \"a/b\"; expected a service's name"],
        ),
        (
            with_services(&[DTR, &service(r#""names": ["DTR.example.com."]"#)], ""),
            &["services[1].names[0] is \"DTR.example.com.\"; services[0].fqdn is the same"],
        ),
        (
            with_services(&[DTR, &service(r#""name": "dtr.example.com""#)], ""),
            &["services[1].name is \"dtr.example.com\"; services[0] has the same name"],
        ),
        (
            with_services(&[DTR, DTR], ""),
            &["services[1].fqdn is \"dtr.example.com\"; services[0].fqdn is the same"],
        ),
        (
            with_services(&[DTR], r#", "default": "dtr.exmple.com""#),
            &[
                "default is \"dtr.exmple.com\"; there is no service of this name; did you mean \
                 \"dtr.example.com\"?",
            ],
        ),
        (
            with_services(&[DTR], r#", "hello_timeout": "0s""#),
            &["hello_timeout is \"0s\"; expected a time"],
        ),
        (
            with_services(&[DTR], r#", "policy": "round-robin""#),
            &["policy: each service has its own; move it into \"services\""],
        ),
        (
            with_services(&[DTR, &service(r#""listeners": []"#)], ""),
            &["services[1].listeners: it is the same for all services; move it to the top level"],
        ),
        (
            with_services(
                &[DTR, &service(r#""min_healthy": 3"#)],
                r#", "listenrs": []"#,
            ),
            &[
                "services[1].min_healthy is 3; there is only 1 replica",
                "unknown field \"listenrs\" here; did you mean \"listeners\"? known: services, \
                 default, hello_timeout, listeners,",
            ],
        ),
        (
            r#"{"servces": [], "listeners": [{"bind": "0.0.0.0:443"}]}"#.to_owned(),
            &["unknown field \"servces\" here; did you mean \"services\"? known: fqdn,"],
        ),
        (
            r#"{"fqdn": "a.example", "replicas": [{"address": "10.0.0.1"}], "hello_timeout": "5s"}"#
                .to_owned(),
            &["unknown field \"hello_timeout\" here; it goes with \"services\", a list of"],
        ),
        (
            with_services(&[DTR, DTR], r#", "idle_timeout": 5"#),
            &[
                "services[1].fqdn is \"dtr.example.com\"; services[0].fqdn is the same",
                "idle_timeout is 5; expected a time",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_errors(&text, expected);
    }
}

#[test]
fn a_warning_names_the_service_it_is_about() {
    let quay = r#"{"fqdn": "quay.example.com", "replicas": [{"address": "quay.internal"}],
        "health": {"verify": "none"}}"#;
    let file = ConfigFile::parse(
        &with_services(&[DTR, quay], r#", "idle_timeout": "1m""#),
        "lb.json",
    );
    let file = file.unwrap();
    let warnings: Vec<&str> = file
        .warnings()
        .iter()
        .map(|one| one.field.as_str())
        .collect();
    assert_eq!(warnings, ["services[1].health.verify", "idle_timeout"]);
    let names = file.dns_names();
    assert_eq!(
        names[0].warning("?").field,
        "services[1].replicas[0].address"
    );
}

#[test]
fn a_change_names_the_service_it_is_about() {
    let service = |more: &str| {
        format!(
            r#"{{"name": "dtr", "fqdn": "dtr.example.com", "replicas": [{{"address": "10.0.0.1"}}]{more}}}"#
        )
    };
    let quay =
        r#"{"name": "quay", "fqdn": "quay.example.com", "replicas": [{"address": "10.0.1.1"}]}"#;
    let one = r#"{"fqdn": "dtr.example.com", "replicas": [{"address": "10.0.0.1"}]}"#.to_owned();
    let before = with_services(&[&service(""), quay], "");
    let cases = [
        (before.clone(), "changes nothing"),
        (with_services(&[&service("")], ""), "removes quay/r1"),
        (
            with_services(&[&service(r#", "policy": "round-robin""#), quay], ""),
            "changes policy of dtr",
        ),
        (
            with_services(&[&service(r#", "names": ["*.dtr.example.com"]"#), quay], ""),
            "changes names of dtr",
        ),
        (
            with_services(
                &[&service(""), quay],
                r#", "default": "quay", "max_connections": 9"#,
            ),
            "changes max_connections, default",
        ),
        (
            one,
            "adds r1 (10.0.0.1); removes dtr/r1, quay/r1; changes services",
        ),
    ];
    let parse = |text: &str| ConfigFile::parse(text, "lb.json").unwrap();
    for (after, expected) in cases {
        let changes = parse(&after).changes_of(&parse(&before));
        assert_eq!(changes.to_string(), expected, "{after}");
    }
}

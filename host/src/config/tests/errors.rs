//! All errors at once, and none that only follows from another.

use super::*;

/// What is wrong with the text, without the file's name.
pub(super) fn errors(text: &str) -> Vec<String> {
    let refused = ConfigFile::parse(text, "lb.json").unwrap_err();
    let lines: Vec<String> = refused.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), refused.iter().count(), "a line for each error");
    let names = lines
        .iter()
        .map(|line| line.strip_prefix("lb.json: ").expect(line));
    names.map(str::to_owned).collect()
}

/// Exactly these errors, in this order, each with these beginnings.
pub(super) fn assert_errors(text: &str, expected: &[&str]) {
    assert_begin_with(text, &errors(text), expected);
}

fn assert_begin_with(text: &str, found: &[String], expected: &[&str]) {
    let fits = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(error, start)| error.starts_with(start));
    assert!(
        fits,
        "{text}\n{}\ninstead of\n{}",
        found.join("\n"),
        expected.join("\n")
    );
}

#[test]
fn errors_of_every_kind_are_reported_together_in_the_order_of_the_file() {
    let text = r#"{
        "replicas": [
            { "address": "10.0.0.11", "weight": 0, "zzz": 1 },
            { "address": "10.0.0.11", "weight": 1 },
            { "address": "10.0.0.12", "ports": { "444": 1, "443": 0, "x": 2 } }
        ],
        "fqdn": "a b",
        "listeners": [{ "bind": "0.0.0.0:80" }, { "bind": "0.0.0.0:80" }],
        "health": { "interval": "1s", "timeout": "2s", "statuses": [], "verify": "/no/such.pem" },
        "policy": 3,
        "policy": "fastest",
        "admin": { },
        "filters": [{ "wasm": "/no/such.wasm" }],
        "min_healthy": 9
    } x"#;
    assert_errors(
        text,
        &[
            "replicas[0].weight is 0; ",
            r#"unknown field "zzz" in replicas[0]; remove it"#,
            "replicas[1].address is \"10.0.0.11\"; replicas[0] has the same",
            "replicas[2].ports.444 is 1; no listener",
            "replicas[2].ports.443 is 0; ",
            "replicas[2].ports.x is 2; ",
            "fqdn is \"a b\"; ",
            "listeners[1].bind is \"0.0.0.0:80\"; listeners[0].bind is bound to it",
            "health.interval is \"1s\"; shorter",
            "health.statuses is []; ",
            "health.verify is \"/no/such.pem\"; ",
            "policy is 3; expected a string in quotes",
            r#"line 11: "policy" is given twice"#,
            "admin.bind: missing; ",
            "filters[0].wasm is \"/no/such.wasm\"; can't be read",
            "min_healthy is 9; there are only 3 replicas",
            "more text after the end of the configuration, at line 15, column 7",
        ],
    );
}

#[test]
fn nothing_is_reported_that_only_follows_from_another_error() {
    let one = |fields: &str, expected: &'static str| (with(fields), vec![expected]);
    let cases = vec![
        (
            with_replicas(r#"[{"adress": "10.0.0.1"}]"#),
            vec![r#"unknown field "adress" in replicas[0]; did you mean "address"?"#],
        ),
        (
            r#"{"fqdn": "a.example", "replicas": 5, "min_healthy": 3}"#.to_owned(),
            vec!["replicas is 5; expected a list in brackets"],
        ),
        (
            r#"{"fqdn": "a.example", "replicas": [], "min_healthy": 3}"#.to_owned(),
            vec!["replicas is []; no replica"],
        ),
        (
            with_replicas(r#"[5, {"address": 6}, {"address": 7}]"#),
            vec![
                "replicas[0] is 5; expected an object",
                "replicas[1].address is 6; ",
                "replicas[2].address is 7; ",
            ],
        ),
        (
            with_replicas(r#"[{"name": "a b", "address": "10.0.0.1"}, {"name": "r1", "address": "10.0.0.2"}]"#),
            vec!["replicas[0].name is \"a b\"; "],
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "ports": {"443": "x"}}, {"address": "10.0.0.1"}]"#),
            vec!["replicas[0].ports.443 is \"x\"; "],
        ),
        // The ports that are served are not known.
        (
            r#"{"fqdn": "a.example", "replicas": [{"address": "10.0.0.1", "ports": {"5000": 1}}],
                "listeners": [{"bind": "5000"}]}"#
                .to_owned(),
            vec!["listeners[0].bind is \"5000\"; "],
        ),
        (
            r#"{"fqdn": "a.example", "replicas": [{"address": "127.0.0.1", "ports": {"5000": 1}}],
                "listenrs": [{"bind": "127.0.0.1:5000"}]}"#
                .to_owned(),
            vec![r#"unknown field "listenrs" here; did you mean "listeners"?"#],
        ),
        (
            r#"{"fqdn": "a.example", "replicas": [{"address": "10.0.0.1", "ports": {"5000": 1}}],
                "health": {"target": "https:5000x"}}"#
                .to_owned(),
            vec!["health.target is \"https:5000x\"; "],
        ),
        (
            with(r#""listeners": [{"bind": "0.0.0.0:0"}, {"bind": "0.0.0.0:0"}]"#),
            vec![
                "listeners[0].bind is \"0.0.0.0:0\"; port 0 means any free port",
                "listeners[1].bind is \"0.0.0.0:0\"; port 0 means any free port",
            ],
        ),
        one(
            r#""health": {"interval": 10, "fast_interval": "3s"}"#,
            "health.interval is 10; ",
        ),
        one(
            r#""health": {"preset": "tcp", "target": "http:80x", "statuses": [200]}"#,
            "health.target is \"http:80x\"; ",
        ),
        one(
            r#""health": {"statuses": [1]}"#,
            "health.statuses[0] is 1; ",
        ),
        // Once, and not for each listener.
        one(
            r#""health": {"verify": "/no/such.pem"}, "listeners": [{"bind": "0.0.0.0:80"},
                {"bind": "0.0.0.0:443", "health": {"preset": "ucp"}}]"#,
            "health.verify is \"/no/such.pem\"; ",
        ),
        one(
            r#""listeners": [{"bind": "0.0.0.0:443"}, {"bind": "[::]:443", "health": {"preset": "x"}}]"#,
            "listeners[1].health.preset is \"x\"; ",
        ),
        (
            r#"{"listeners": [{"bind": "0.0.0.0:80", "cluster": "web"}], "clusters": [{"nam": "web", "endpoints": ["10.0.0.1:1"]}]}"#.to_owned(),
            vec![r#"unknown field "nam" in clusters[0]; did you mean "name"?"#],
        ),
        (
            r#"{"listeners": [{"bind": "0.0.0.0:80", "cluster": "web"}], "clusters": [{"name": "web", "endpoints": "10.0.0.1:1"}]}"#.to_owned(),
            vec!["clusters[0].endpoints is \"10.0.0.1:1\"; expected a list"],
        ),
        (
            r#"{"listeners": [{"bind": "0.0.0.0:80", "cluster": "web"}, {"bind": "0.0.0.0:80", "cluster": "x"}], "clusters": []}"#.to_owned(),
            vec![
                "listeners[0].cluster is \"web\"; no cluster",
                "listeners[1].cluster is \"x\"; no cluster",
                "listeners[1].bind is \"0.0.0.0:80\"; listeners[0] has",
            ],
        ),
    ];
    for (text, mut expected) in cases {
        let mut found = errors(&text);
        found.sort();
        expected.sort_unstable();
        assert_begin_with(&text, &found, &expected);
    }
}

#[test]
fn a_list_is_no_object_anywhere() {
    let cases = [
        (with(r#""admin": ["127.0.0.1:8181"]"#), "admin is "),
        (with(r#""passive": [1, "10s", "5s"]"#), "passive is "),
        (with(r#""health": []"#), "health is "),
        (
            with(r#""listeners": [["0.0.0.0:443", 443]]"#),
            "listeners[0] is ",
        ),
        (with_replicas(r#"[["r1", "10.0.0.1"]]"#), "replicas[0] is "),
        (
            with(r#""health": {"body": ["/status", "ok"]}"#),
            "health.body is ",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "ports": [443]}]"#),
            "replicas[0].ports is ",
        ),
    ];
    for (text, field) in cases {
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(field), "{found:?}");
        assert!(
            found[0].ends_with("; expected an object in braces"),
            "{found:?}"
        );
    }
    assert_errors(
        r#"[{"fqdn": "a.example"}]"#,
        &["expected an object in braces"],
    );
}

#[test]
fn too_many_errors_are_cut() {
    let replicas = vec!["5"; 1000].join(", ");
    let found = errors(&with_replicas(&format!("[{replicas}]")));
    assert_eq!(found.len(), 51);
    assert!(found[49].starts_with("replicas[49] is 5"), "{}", found[49]);
    assert_eq!(
        found[50],
        "there are more errors than these 50; correct these first"
    );

    let twins = vec![r#"{"address": "10.0.0.1"}"#; 1000].join(", ");
    assert_eq!(errors(&with_replicas(&format!("[{twins}]"))).len(), 51);
}

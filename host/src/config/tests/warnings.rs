use super::*;

fn warnings_of(text: &str) -> Vec<String> {
    let file = ConfigFile::parse(text, "lb.json").unwrap();
    file.warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_probably_not_meant_is_named_with_field_value_and_remedy() {
    let backup = r#"[{"address": "10.0.0.1", "backup": true}]"#;
    let chain = |fields: &str, tls: &str| {
        format!(
            r#"{{"listeners": [{{"bind": "0.0.0.0:80", "cluster": "web"}}], {fields}
                "clusters": [{{"name": "web", "endpoints": ["10.0.0.1:1"]{tls}}}]}}"#
        )
    };
    let cases = [
        (
            with(r#""idle_timeout": "9m 59s""#),
            r#"lb.json: idle_timeout is "9m 59s"; registries and their clients are silent for longer while they work, and would be cut off; leave it out, or give at least 10m"#,
        ),
        (
            with(r#""health": {"verify": "none"}"#),
            r#"lb.json: health.verify is "none"; no certificate is looked at, so that any server at the address is trusted; give a file"#,
        ),
        (
            with(r#""listeners": [{"bind": "0.0.0.0:443", "health": {"verify": "none"}}]"#),
            r#"lb.json: listeners[0].health.verify is "none"; "#,
        ),
        (
            with(r#""admin": {"bind": "0.0.0.0:8181"}"#),
            r#"lb.json: admin.bind is "0.0.0.0:8181"; every client that reaches it reads the status, and without a token nobody can change anything; give a "token", or bind it to a loopback address"#,
        ),
        (
            with(
                r#""listeners": [{"bind": "127.0.0.1:5000"}], "health": {"preset": "distribution"}"#,
            ),
            r#"lb.json: health.target is "https:443/v2/"; that is the default, and no listener leads to port 443: where nothing answers there, all replicas are down for ever; give "https:5000/v2/", "http:5000/v2/" or what answers"#,
        ),
        (
            with(r#""listeners": [{"bind": "127.0.0.1:443", "health": {"preset": "http"}}]"#),
            r#"lb.json: listeners[0].health.target is "http:80/"; that is the default, and no listener leads to port 80: where nothing answers there, all replicas are down for ever; give "http:443/", "https:443/" or what answers"#,
        ),
        (
            with_replicas(backup),
            "lb.json: replicas[0].backup is true; every replica is a backup",
        ),
        (
            chain(r#""idle_timeout": "1m","#, ""),
            r#"lb.json: idle_timeout is "1m"; "#,
        ),
        (
            chain("", r#", "tls": {"verify": "none"}"#),
            r#"lb.json: clusters[0].tls.verify is "none"; "#,
        ),
    ];
    for (text, expected) in cases {
        let found = warnings_of(&text);
        assert_eq!(found.len(), 1, "{text}\n{found:?}");
        assert!(
            found[0].starts_with(expected),
            "{}\ninstead of\n{expected}",
            found[0]
        );
    }
}

#[test]
fn what_is_meant_causes_no_warning() {
    let replicas = r#"[{"address": "10.0.0.1"}, {"address": "10.0.0.2", "backup": true}]"#;
    let cases = [
        with(r#""idle_timeout": "10m", "half_close_timeout": "1s""#),
        with(r#""admin": {"bind": "127.0.0.1:8181"}"#),
        with(r#""admin": {"bind": "[::1]:8181"}"#),
        with(r#""admin": {"bind": "0.0.0.0:8181", "token": "12345678"}"#),
        with(r#""health": {"preset": "tcp"}, "listeners": [{"bind": "0.0.0.0:5000"}]"#),
        with(r#""health": {"target": "https:8443"}"#),
        with(r#""listeners": [{"bind": "0.0.0.0:8443", "port": 443}]"#),
        // In the clear: there is no certificate.
        with(r#""health": {"target": "http:80", "verify": "none"}"#),
        // Each replica says where its port 443 is.
        r#"{"fqdn": "a.example", "replicas": [{"address": "10.0.0.1", "ports": {"443": 5443}}],
            "listeners": [{"bind": "0.0.0.0:5000"}]}"#
            .to_owned(),
        with_replicas(replicas),
    ];
    for text in cases {
        assert_eq!(warnings_of(&text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn warnings_come_with_errors_unless_they_follow_from_them() {
    let cases = [
        (
            with(r#""listeners": [{"bind": "5000"}], "idle_timeout": "1m""#),
            vec!["idle_timeout"],
        ),
        (
            with(r#""listeners": [{"bind": "127.0.0.1:5000"}], "health": {"target": 5}"#),
            vec![],
        ),
        (
            with(r#""admin": {"bind": "0.0.0.0:1", "token": "x"}"#),
            vec![],
        ),
        (with(r#""admin": {"bind": "8181"}"#), vec![]),
    ];
    for (text, expected) in cases {
        let errors = ConfigFile::parse(&text, "lb.json").unwrap_err();
        let fields: Vec<&str> = errors
            .warnings()
            .iter()
            .map(|one| one.field.as_str())
            .collect();
        assert_eq!(fields, expected, "{text}");
    }
}

#[test]
fn the_names_of_a_file_are_known_with_their_fields() {
    let text = with_replicas(r#"[{"address": "10.0.0.1"}, {"address": "dtr2.internal"}]"#);
    let names = ConfigFile::parse(&text, "lb.json").unwrap().dns_names();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].name(), "dtr2.internal");
    let warning = names[0].warning("it has no address").to_string();
    let expected = r#"lb.json: replicas[1].address is "dtr2.internal"; it has no address"#;
    assert_eq!(warning, expected);
}

//! Wrong input of every kind, and what the defaults come to.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use super::*;

fn refusal(text: &str) -> String {
    match Config::parse(text, "lb.json") {
        Ok(config) => panic!("accepted: {text}\n{config:?}"),
        Err(error) => error.to_string(),
    }
}

/// A whole file around one replica.
fn with(fields: &str) -> String {
    format!(
        r#"{{ "fqdn": "dtr.example.com", "replicas": [{{"address": "10.0.0.11"}}], {fields} }}"#
    )
}

/// A whole file around the given replicas.
fn with_replicas(replicas: &str) -> String {
    format!(r#"{{ "fqdn": "dtr.example.com", "replicas": {replicas} }}"#)
}

#[test]
fn wrong_input_is_refused_with_file_field_value_and_remedy() {
    let cases: Vec<(String, &str)> = vec![
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
            with_replicas(r#"[{"address": "10.0.0.1", "ports": {"0443": 1}}]"#),
            "lb.json: replicas[0].ports",
        ),
        (
            with(r#""health": {"headers": {"X-Probe": "1", "x-probe": "2"}}"#),
            r#"lb.json: line 1: "x-probe" is given twice; leave one of them"#,
        ),
        (
            with_replicas(r#"[{"address": "dtr1.internal"}, {"address": "DTR1.internal"}]"#),
            r#"lb.json: replicas[1].address is "DTR1.internal"; replicas[0] has the same address"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1"}, {"address": "::ffff:10.0.0.1"}]"#),
            r#"lb.json: replicas[1].address is "10.0.0.1"; replicas[0] has the same address"#,
        ),
        (
            with(r#""listeners": [{"bind": "0.0.0.0:443"}, {"bind": "127.0.0.1:443"}]"#),
            r#"lb.json: listeners[1].bind is "127.0.0.1:443"; listeners[0].bind is 0.0.0.0:443, and one"#,
        ),
        (
            with(
                r#""listeners": [{"bind": "[::1]:8181", "port": 443}], "admin": {"bind": "[::]:8181"}"#,
            ),
            r#"lb.json: listeners[0].bind is "[::1]:8181"; admin.bind is [::]:8181, and one"#,
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
            r#"lb.json: unknown field "zzz" in replicas[0]; remove it; known: name, address"#,
        ),
        (
            with(r#""policy": "least-conections""#),
            r#"lb.json: policy is "least-conections"; expected one of least-connections, round-robin, random-two, source-hash; did you mean "least-connections"?"#,
        ),
        (with(r#""policy": 3"#), "lb.json: policy"),
        (
            with(r#""health": {"preset": "nexsus"}"#),
            r#"lb.json: health.preset is "nexsus"; expected one of dtr, dtr-legacy, ucp, harbor, quay, distribution, nexus, gitlab, http, tcp; did you mean "nexus"?"#,
        ),
        (
            r#"{"fqdn": "https://dtr.example.com", "replicas": []}"#.into(),
            r#"lb.json: fqdn is "https://dtr.example.com"; expected the name clients use, without scheme"#,
        ),
        (
            with_replicas("[]"),
            r#"lb.json: replicas is []; no replica; add at least one, such as {"address": "10.0.0.11"}"#,
        ),
        (
            with_replicas(r#"[{"name": "r1"}]"#),
            "lb.json: replicas[0].address: missing; give the replica's IP address or DNS name",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.300"}]"#),
            r#"lb.json: replicas[0].address is "10.0.0.300"; expected an IPv4 address, an IPv6 address or a DNS name"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.11:443"}]"#),
            r#"lb.json: replicas[0].address is "10.0.0.11:443"; expected an IPv4 address, an IPv6 address or a DNS name, without a port"#,
        ),
        (
            with_replicas(r#"[{"address": "0.0.0.0"}]"#),
            r#"lb.json: replicas[0].address is "0.0.0.0"; expected"#,
        ),
        (
            with_replicas(r#"[{"address": "a b"}]"#),
            r#"lb.json: replicas[0].address is "a b"; expected"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "weight": 0}]"#),
            "lb.json: replicas[0].weight is 0; expected a whole number from 1 to 1000, without quotes",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "weight": 1001}]"#),
            "lb.json: replicas[0].weight is 1001; expected a whole number from 1 to 1000",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "weight": -1}]"#),
            "lb.json: replicas[0].weight is -1; expected a whole number from 1 to 1000",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "weight": 1.5}]"#),
            "lb.json: replicas[0].weight is 1.5; expected a whole number from 1 to 1000",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "weight": "2"}]"#),
            r#"lb.json: replicas[0].weight is "2"; expected a whole number from 1 to 1000, without quotes"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "backup": "yes"}]"#),
            r#"lb.json: replicas[0].backup is "yes"; expected true or false, without quotes"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "max_connections": 0}]"#),
            "lb.json: replicas[0].max_connections is 0; expected a whole number from 1 to 1000000",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "name": "a/b"}]"#),
            r#"lb.json: replicas[0].name is "a/b"; expected a name of 1 to 63 letters, digits"#,
        ),
        (
            with_replicas(&format!(
                r#"[{{"address": "10.0.0.1", "name": "{}"}}]"#,
                "a".repeat(64)
            )),
            "lb.json: replicas[0].name is \"aaaa",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "name": ""}]"#),
            r#"lb.json: replicas[0].name is ""; expected a name of 1 to 63"#,
        ),
        (
            with_replicas(
                r#"[{"address": "10.0.0.1", "name": "a"}, {"address": "10.0.0.2", "name": "a"}]"#,
            ),
            r#"lb.json: replicas[1].name is "a"; replicas[0] has the same name; give each its own"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "name": "r2"}, {"address": "10.0.0.2"}]"#),
            r#"lb.json: replicas[1].name is "r2"; replicas[0] has the same name; give each its own"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1"}, {"address": "10.0.0.1"}]"#),
            r#"lb.json: replicas[1].address is "10.0.0.1"; replicas[0] has the same address and ports"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "ports": {"444": 8443}}]"#),
            "lb.json: replicas[0].ports.444 is 8443; no listener and no check uses port 444; known: 80, 443",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "ports": {"443": 0}}]"#),
            "lb.json: replicas[0].ports.443 is 0; expected a whole number from 1 to 65535",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "ports": {"https": 8443}}]"#),
            r#"lb.json: replicas[0].ports.https is 8443; expected ports of the service as names, such as {"443": 8443}"#,
        ),
        (
            with(r#""listeners": []"#),
            "lb.json: listeners is []; no listener; add one such as",
        ),
        (
            with(r#""listeners": [{"bind": "443"}]"#),
            r#"lb.json: listeners[0].bind is "443"; expected an IP address and a port, such as "0.0.0.0:443""#,
        ),
        (
            with(r#""listeners": [{"bind": "0.0.0.0:0"}]"#),
            r#"lb.json: listeners[0].bind is "0.0.0.0:0"; port 0 means any free port, so "port" must say"#,
        ),
        (
            with(r#""listeners": [{"bind": "0.0.0.0:443", "port": 0}]"#),
            "lb.json: listeners[0].port is 0; expected a whole number from 1 to 65535",
        ),
        (
            with(r#""listeners": [{"bind": "0.0.0.0:443"}, {"bind": "0.0.0.0:443"}]"#),
            r#"lb.json: listeners[1].bind is "0.0.0.0:443"; listeners[0].bind is bound to it already; give each its own"#,
        ),
        (
            with(
                r#""listeners": [{"bind": "127.0.0.1:8181"}], "admin": {"bind": "127.0.0.1:8181"}"#,
            ),
            r#"lb.json: listeners[0].bind is "127.0.0.1:8181"; admin.bind is bound to it already"#,
        ),
        (
            with(
                r#""listeners": [{"bind": "0.0.0.0:443"}, {"bind": "[::]:443", "health": {"preset": "tcp"}}]"#,
            ),
            "lb.json: listeners[1].port is 443; listeners[0] serves the same port with another check",
        ),
        (
            with(r#""health": {"interval": "500ms", "timeout": "1s"}"#),
            r#"lb.json: health.interval is "500ms"; shorter than health.timeout (1s); raise one or lower the other"#,
        ),
        (
            with(r#""health": {"interval": "1s", "fast_interval": "2s"}"#),
            r#"lb.json: health.fast_interval is "2s"; longer than health.interval (1s)"#,
        ),
        (
            with(r#""health": {"interval": 2}"#),
            r#"lb.json: health.interval is 2; expected a time with its unit, such as "2s" or "500ms""#,
        ),
        (
            with(r#""health": {"interval": "2"}"#),
            r#"lb.json: health.interval is "2"; expected a time with its unit"#,
        ),
        (
            with(r#""health": {"timeout": "0s"}"#),
            r#"lb.json: health.timeout is "0s"; expected a time with its unit, such as "2s" or "500ms", of at least 1ms"#,
        ),
        (
            with(r#""health": {"timeout": "1500us"}"#),
            r#"lb.json: health.timeout is "1500us"; expected a time with its unit"#,
        ),
        (
            with(r#""health": {"jitter": 1.5}"#),
            "lb.json: health.jitter is 1.5; expected a number from 0 to 1",
        ),
        (
            with(r#""health": {"rise": 0}"#),
            "lb.json: health.rise is 0; expected a whole number from 1 to 1000",
        ),
        (
            with(r#""health": {"target": "ftp:21/"}"#),
            r#"lb.json: health.target is "ftp:21/"; expected a target such as "https:443/_ping""#,
        ),
        (
            with(r#""health": {"target": "https:0/_ping"}"#),
            r#"lb.json: health.target is "https:0/_ping"; expected a target"#,
        ),
        (
            with(r#""health": {"target": "http:80/a b"}"#),
            r#"lb.json: health.target is "http:80/a b"; expected a target"#,
        ),
        (
            with(r#""health": {"statuses": [99]}"#),
            "lb.json: health.statuses[0] is 99; expected a status from 100 to 599, such as 200",
        ),
        (
            with(r#""health": {"statuses": ["399-200"]}"#),
            r#"lb.json: health.statuses[0] is "399-200"; expected a status from 100 to 599"#,
        ),
        (
            with(r#""health": {"statuses": []}"#),
            "lb.json: health.statuses is []; no status would be healthy",
        ),
        (
            with(r#""health": {"headers": {"Host": "x"}}"#),
            "lb.json: health.headers",
        ),
        (
            with(r#""health": {"headers": {"x-a": "a\nb"}}"#),
            r#"lb.json: health.headers.x-a is "a\nb"; expected visible ASCII"#,
        ),
        (
            with(r#""health": {"body": {"pointer": "status", "healthy": "ok"}}"#),
            r#"lb.json: health.body.pointer is "status"; expected a JSON pointer, such as "/status""#,
        ),
        (
            with(r#""health": {"body": {"pointer": "/status"}}"#),
            "lb.json: health.body.healthy: missing; give the value a healthy answer has there",
        ),
        (
            with(r#""health": {"preset": "tcp", "statuses": [200]}"#),
            "lb.json: health.statuses: a tcp check only opens a connection; remove this",
        ),
        (
            with(r#""health": {"verify": "/no/such/ca.pem"}"#),
            r#"lb.json: health.verify is "/no/such/ca.pem"; neither "system" nor "none", and as a file of CA certificates (PEM) it can't be read: /no/such/ca.pem: No such file"#,
        ),
        (
            with(r#""admin": {"bind": "localhost"}"#),
            r#"lb.json: admin.bind is "localhost"; expected an IP address and a port"#,
        ),
        (
            with(r#""admin": {"bind": "127.0.0.1:8181", "token": "x y"}"#),
            r#"lb.json: admin.token is "x y"; expected a token of 8 to 512"#,
        ),
        (
            with(r#""min_healthy": 2"#),
            "lb.json: min_healthy is 2; there is only 1 replica; give at most that",
        ),
        (
            with(r#""passive": {"fails": 0}"#),
            "lb.json: passive.fails is 0; expected a whole number from 1 to 1000",
        ),
        (
            with(r#""dns_refresh": "1ms""#),
            r#"lb.json: dns_refresh is "1ms"; expected a time with its unit, such as "2s" or "500ms", of at least 10ms"#,
        ),
    ];
    for (text, expected) in cases {
        let said = refusal(&text);
        assert!(
            said.starts_with(expected),
            "for     {text}\nsaid    {said}\ninstead {expected}"
        );
    }
}

#[test]
fn a_ca_file_is_looked_for_beside_the_configuration_and_must_hold_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), "no certificate").unwrap();
    let file = folder.path().join("lb.json");
    std::fs::write(&file, with(r#""health": {"verify": "ca.pem"}"#)).unwrap();

    let said = Config::load(&file).unwrap_err().to_string();
    assert!(
        said.contains("it holds no certificate; correct it"),
        "{said}"
    );

    let key = rcgen::generate_simple_self_signed(["dtr.example.com".to_owned()]).unwrap();
    std::fs::write(folder.path().join("ca.pem"), key.cert.pem()).unwrap();
    let config = Config::load(&file).unwrap();
    let verify = Verify::CaFile(folder.path().join("ca.pem"));
    assert_eq!(config.checks[0].tls, Some(verify));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let said = Config::load(Path::new("/no/such/lb.json"))
        .unwrap_err()
        .to_string();
    assert!(
        said.starts_with("/no/such/lb.json: the configuration can't be read"),
        "{said}"
    );
}

#[test]
fn flags_are_refused_by_their_own_names() {
    let right = Flags {
        fqdn: "dtr.example.com".into(),
        replicas: vec!["10.0.0.11".into()],
        ..Flags::default()
    };
    let cases = [
        (
            Flags {
                fqdn: "a b".into(),
                ..right.clone()
            },
            r#"command line: --fqdn is "a b"; expected the name clients use"#,
        ),
        (
            Flags {
                replicas: vec!["10.0.0.300".into()],
                ..right.clone()
            },
            r#"command line: --replica is "10.0.0.300"; expected an IPv4 address"#,
        ),
        (
            Flags {
                replicas: vec![],
                ..right.clone()
            },
            "command line: --replica is []; no replica",
        ),
        (
            Flags {
                listen: vec!["127.0.0.1:8443=https".into()],
                ..right.clone()
            },
            r#"command line: --listen is "https"; expected a whole number from 1 to 65535"#,
        ),
        (
            Flags {
                verify: Some("sytem".into()),
                ..right.clone()
            },
            r#"command line: --verify is "sytem"; neither "system" nor "none""#,
        ),
        (
            Flags {
                policy: Some("fastest".into()),
                ..right.clone()
            },
            r#"command line: --policy is "fastest"; expected one of least-connections"#,
        ),
    ];
    for (flags, expected) in cases {
        let said = Config::from_flags(&flags).unwrap_err().to_string();
        assert!(
            said.starts_with(expected),
            "said    {said}\ninstead {expected}"
        );
    }
}

#[test]
fn flags_say_what_a_file_would() {
    let flags = Flags {
        fqdn: "dtr.example.com".into(),
        replicas: vec!["10.0.0.11".into(), "b=dtr2.internal".into()],
        listen: vec!["127.0.0.1:8443=443".into(), "[::1]:80".into()],
        health_preset: Some("distribution".into()),
        verify: Some("none".into()),
        ..Flags::default()
    };
    let config = Config::from_flags(&flags).unwrap();
    let names: Vec<&str> = config
        .replicas
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["r1", "b"]);
    assert_eq!(config.replicas[1].host, Host::Name("dtr2.internal".into()));
    let ports: Vec<u16> = config.listeners.iter().map(|one| one.port).collect();
    assert_eq!(ports, [443, 80]);
    assert_eq!(config.checks[0].tls, Some(Verify::None));
    let CheckKind::Http { path, statuses, .. } = &config.checks[0].kind else {
        panic!("{:?}", config.checks);
    };
    assert_eq!(
        (path.as_str(), statuses.as_slice()),
        ("/v2/", [(200, 200), (401, 401)].as_slice())
    );
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let config = Config::parse(&with_replicas(r#"[{"address": "::1"}]"#), "lb.json").unwrap();
    assert_eq!(config.replicas[0].weight, 1);
    assert_eq!(config.listeners[0].bind.to_string(), "0.0.0.0:80");
    assert_eq!(config.listeners[1].bind.to_string(), "0.0.0.0:443");
    assert_eq!(config.policy, Policy::LeastConnections);
    assert_eq!(config.health.interval, Duration::from_secs(2));
    assert_eq!(config.health.timeout, Duration::from_secs(2));
    assert_eq!((config.health.rise, config.health.fall), (2, 3));
    assert_eq!(config.connect_timeout, Duration::from_secs(1));
    assert_eq!(config.idle_timeout, None);
    let check = &config.checks[0];
    assert_eq!((check.name.as_str(), check.port), ("ping", 443));
    assert_eq!(check.tls, Some(Verify::System));
}

#[test]
fn one_of_interval_and_timeout_moves_the_other_along() {
    let cases = [
        (r#""interval": "500ms""#, 500, 500),
        (r#""interval": "10s""#, 10_000, 2_000),
        (r#""timeout": "5s""#, 5_000, 5_000),
    ];
    for (field, interval, timeout) in cases {
        let text = with(&format!(r#""health": {{{field}}}"#));
        let health = Config::parse(&text, "lb.json").unwrap().health;
        let both = (health.interval.as_millis(), health.timeout.as_millis());
        assert_eq!(both, (interval, timeout), "{field}");
    }
}

#[test]
fn a_listener_may_have_a_check_of_its_own() {
    let text = with(
        r#""listeners": [
            { "bind": "0.0.0.0:80", "health": { "target": "http:80/_ping" } },
            { "bind": "0.0.0.0:443" }],
        "health": { "preset": "ucp", "verify": "none" }"#,
    );
    let config = Config::parse(&text, "lb.json").unwrap();
    let made: Vec<(&str, u16, Option<&Verify>)> = config
        .checks
        .iter()
        .map(|check| (check.name.as_str(), check.port, check.tls.as_ref()))
        .collect();
    assert_eq!(
        made,
        [("ping-80", 80, None), ("ping", 443, Some(&Verify::None))]
    );
    let asked: Vec<&str> = config
        .listeners
        .iter()
        .map(|one| one.check.as_str())
        .collect();
    assert_eq!(asked, ["ping-80", "ping"]);
}

#[test]
fn what_only_looks_alike_is_accepted() {
    let cases = [
        with(r#""listeners": [{"bind": "0.0.0.0:443"}, {"bind": "[::]:443"}]"#),
        with(r#""listeners": [{"bind": "127.0.0.1:443"}, {"bind": "127.0.0.2:443"}]"#),
        with(
            r#""listeners": [{"bind": "0.0.0.0:0", "port": 80}, {"bind": "0.0.0.0:0", "port": 443}]"#,
        ),
        format!("\u{feff}{}", with(r#""min_healthy": 1"#)),
    ];
    for text in cases {
        Config::parse(&text, "lb.json").unwrap();
    }
}

#[test]
fn a_file_that_is_no_configuration_is_refused_before_it_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lb.json");
    let endless = std::fs::File::create(&path).unwrap();
    endless.set_len(1 << 40).unwrap();
    let said = Config::load(&path).unwrap_err().to_string();
    assert!(
        said.ends_with("longer than 16 MiB; is this the configuration?"),
        "{said}"
    );
    std::fs::write(&path, b"{ \"fqdn\": \"\xff").unwrap();
    let said = Config::load(&path).unwrap_err().to_string();
    assert!(
        said.ends_with("not UTF-8 at byte 11; save it as UTF-8"),
        "{said}"
    );
}

#[test]
fn every_path_that_is_accepted_can_be_asked_for() {
    for byte in b'!'..=b'~' {
        let path = format!("/a{}", char::from(byte));
        let text = with(&format!(
            r#""health": {{"target": {:?}}}"#,
            format!("http:80{path}")
        ));
        if Config::parse(&text, "lb.json").is_ok() {
            let uri = path.parse::<http::Uri>();
            assert!(uri.is_ok_and(|uri| uri.to_string() == path), "{path}");
        }
    }
}

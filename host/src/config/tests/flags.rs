use dtr_lb_filter::config::CheckKind;

use super::*;

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
        let message = Config::from_flags(&flags).unwrap_err().to_string();
        assert!(
            message.starts_with(expected),
            "refused with {message}\ninstead of   {expected}"
        );
    }
}

#[test]
fn flags_mean_the_same_as_a_file() {
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
    assert_eq!(
        config.replicas[1].address,
        Address::Name("dtr2.internal".into())
    );
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

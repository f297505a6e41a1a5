use super::*;

#[test]
fn wrong_checks_are_refused_with_field_value_and_remedy() {
    assert_refused(vec![
        (
            with(r#""health": {"preset": "nexsus"}"#),
            r#"lb.json: health.preset is "nexsus"; expected one of dtr, dtr-legacy, ucp, harbor, quay, distribution, nexus, gitlab, http, tcp; did you mean "nexus"?"#,
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
            r#"lb.json: health.headers.x-a is (not shown); expected visible ASCII"#,
        ),
        (
            with(r#""health": {"body": {"pointer": "status", "healthy": "ok"}}"#),
            r#"lb.json: health.body.pointer is "status"; expected a JSON pointer, such as "/status""#,
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
            with(r#""health": {"verify": "/dev/zero"}"#),
            r#"lb.json: health.verify is "/dev/zero"; neither "system" nor "none", and as a file of CA certificates (PEM) it is no file: /dev/zero"#,
        ),
    ]);
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
fn every_path_that_is_accepted_can_be_requested() {
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

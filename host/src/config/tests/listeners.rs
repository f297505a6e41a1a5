use super::*;

#[test]
fn wrong_listeners_are_refused_with_field_value_and_remedy() {
    assert_refused(vec![
        (
            with(r#""listeners": [{"bind": "0.0.0.0:443"}, {"bind": "127.0.0.1:443"}]"#),
            r#"lb.json: listeners[1].bind is "127.0.0.1:443"; listeners[0].bind is 0.0.0.0:443, and the two overlap"#,
        ),
        (
            with(
                r#""listeners": [{"bind": "[::1]:8181", "port": 443}], "admin": {"bind": "[::]:8181"}"#,
            ),
            r#"lb.json: listeners[0].bind is "[::1]:8181"; admin.bind is [::]:8181, and the two overlap"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.11"}, {"address": "127.0.0.1"}]"#),
            r#"lb.json: replicas[1].address is "127.0.0.1"; port 80 there is the balancer's own listeners[0].bind (0.0.0.0:80), so that it would connect to itself; give another address or port"#,
        ),
        (
            with(
                r#""listeners": [{"bind": "10.0.0.11:8443", "port": 443}], "admin": {"bind": "10.0.0.11:443"}"#,
            ),
            r#"lb.json: replicas[0].address is "10.0.0.11"; port 443 there is the balancer's own admin.bind (10.0.0.11:443)"#,
        ),
        (
            with(r#""listeners": []"#),
            "lb.json: listeners is []; no listener; add one such as",
        ),
        (
            with(r#""listeners": [{"bind": "0.0.0.0:443", "max_connections": "many"}]"#),
            r#"lb.json: listeners[0].max_connections is "many"; expected a whole number from 1 to 1000000"#,
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
            with(r#""admin": {"bind": "localhost"}"#),
            r#"lb.json: admin.bind is "localhost"; expected an IP address and a port"#,
        ),
        (
            with(r#""admin": {"bind": "127.0.0.1:8181", "token": "x y"}"#),
            r#"lb.json: admin.token is (not shown); expected a token of 8 to 512"#,
        ),
    ]);
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
    let checks: Vec<&str> = config
        .listeners
        .iter()
        .map(|one| one.check.as_str())
        .collect();
    assert_eq!(checks, ["ping-80", "ping"]);
}

#[test]
fn addresses_that_do_not_overlap_are_accepted() {
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

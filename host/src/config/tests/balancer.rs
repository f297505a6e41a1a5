use std::time::Duration;

use dtr_lb_filter::config::Policy;

use super::*;

#[test]
fn other_wrong_fields_are_refused_with_value_and_remedy() {
    assert_refused(vec![
        (
            with(r#""policy": "least-conections""#),
            r#"lb.json: policy is "least-conections"; expected one of least-connections, round-robin, random-two, source-hash; did you mean "least-connections"?"#,
        ),
        (with(r#""policy": 3"#), "lb.json: policy"),
        (
            r#"{"fqdn": "https://dtr.example.com", "replicas": []}"#.into(),
            r#"lb.json: fqdn is "https://dtr.example.com"; expected the name clients use, without scheme"#,
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
            with(r#""max_connections": 0"#),
            "lb.json: max_connections is 0; expected a whole number from 1 to 1000000",
        ),
        (
            with(r#""dns_refresh": "1ms""#),
            r#"lb.json: dns_refresh is "1ms"; expected a time with its unit, such as "2s" or "500ms", of at least 10ms"#,
        ),
    ]);
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
    assert!(config.resend_first_flight);
    assert_eq!(config.half_close_timeout, Duration::from_secs(3600));
    assert_eq!(config.max_connections, None);
    assert_eq!(config.listeners[0].max_connections, None);
    assert_eq!(config.drain_delay, Duration::ZERO);
    assert_eq!(config.drain_timeout, Duration::from_secs(60));
    let check = &config.checks[0];
    assert_eq!((check.name.as_str(), check.port), ("ping", 443));
    assert_eq!(check.tls, Some(Verify::System));
}

//! `dtr-lb health`, as a container's health check runs it.

use std::fs;

use serde_json::json;

use crate::balancer::{Balancer, Config, greeting};
use crate::certificate::renew;
use crate::operator::Stage;
use crate::refusing_port::RefusingPort;
use crate::running::eventually;
use crate::{dtr_lb, output, text};

#[test]
fn a_balancer_whose_replica_serves_is_healthy() {
    let config = Config::balancing(greeting(), json!({ "health": { "preset": "tcp" } }));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), config);

    let output = output(&["health", "--admin", &balancer.admin]);

    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "{\"Error\":\"\",\"Healthy\":true}\n");
}

#[test]
fn a_balancer_without_a_usable_replica_is_not_and_says_why() {
    let nobody = RefusingPort::new();
    let health = json!({ "preset": "tcp", "interval": "50ms", "fall": 1 });
    let config = Config::balancing(nobody.number(), json!({ "health": health }));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), config);

    let error = eventually("an unhealthy balancer", || {
        let output = output(&["health", "--admin", &balancer.admin]);
        (output.status.code() == Some(1)).then(|| text(&output.stderr))
    });

    assert!(
        error.starts_with("error: 503 Service Unavailable: {"),
        "{error}"
    );
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn a_certificate_that_is_being_renewed_makes_no_healthy_balancer_unhealthy() {
    let folder = tempfile::tempdir().unwrap();
    let tls = renew(folder.path(), "own");
    let stage = Stage::new(json!({ "admin": { "bind": "127.0.0.2:0", "tls": tls } }));
    let admin = json!({ "bind": stage.balancer.admin, "tls": tls });
    let file = stage.file("lb.json", &json!({ "admin": admin }).to_string());
    let key = folder.path().join("own.key");
    let is_healthy = |when: &str| {
        let output = output(&["health", "-c", &file]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{when}: {}",
            text(&output.stderr)
        );
    };

    is_healthy("as it was started");
    let old_key = fs::read(&key).unwrap();
    renew(folder.path(), "own");
    is_healthy("renewed and not yet reloaded");
    fs::write(&key, old_key).unwrap();
    is_healthy("with the key of the old certificate");
    fs::remove_file(&key).unwrap();
    is_healthy("without a key");
}

#[test]
fn nobody_to_ask_is_an_error_that_names_the_address() {
    let nobody = RefusingPort::new();
    let address = format!("127.0.0.1:{}", nobody.number());
    let output = output(&["health", "--admin", &address]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("error: http://{address}/_ping: Connection refused");
    let error = text(&output.stderr);
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn whom_to_ask_is_said_by_the_configuration_or_by_a_flag() {
    let without = Config::balancing(1, json!({ "admin": null }));
    let anywhere = Config::balancing(1, json!({}));
    let torn = Config::balancing(1, json!({}));
    torn.write(r#"{"admin": {"bind": "127.0.0.1:8181"},"#);
    let cases = [
        (
            &["health", "--config", without.path()][..],
            "no \"admin\" is configured",
        ),
        (&["health", "-c", anywhere.path()], "admin.bind has port 0"),
        (&["health", "-c", torn.path()], "not JSON at line 1"),
        (
            &["health", "-c", "-"],
            "standard input: there is nothing in it",
        ),
        (&["health"], "--config <FILE>"),
        (
            &["health", "--config", "x", "--admin", "127.0.0.1:1"],
            "cannot be used with",
        ),
    ];
    for (arguments, expected) in cases {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

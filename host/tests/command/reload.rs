//! Having the configuration read again, other than by SIGHUP.

use std::fs;

use serde_json::{Value, json};

use crate::balancer::{Balancer, Config, greeting, is_greeted};
use crate::{ask, ask_with, dtr_lb, output_of, text};

/// Status and JSON of the answer to `PUT /reload`.
fn reload(balancer: &Balancer, headers: &[(&str, &str)]) -> (u16, Value) {
    let host = [("Host", "localhost")];
    let headers = [&host[..], headers].concat();
    let answer = ask_with(&balancer.admin, "PUT /reload", &headers, "");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn a_reload_on_request_answers_what_has_changed_or_what_is_wrong() {
    let health = json!({ "preset": "tcp" });
    let config = Config::balancing(greeting(), json!({ "health": health }));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), config);
    let (status, answer) = reload(&balancer, &[]);
    assert_eq!(
        (status, &answer["changes"]),
        (200, &json!("changes nothing"))
    );

    let text = fs::read_to_string(balancer.config().path()).unwrap();
    let mut changed: Value = serde_json::from_str(&text).unwrap();
    changed["policy"] = "round-robin".into();
    changed["idle_timeout"] = "1m".into();
    balancer.config().write(&changed.to_string());
    let (status, answer) = reload(&balancer, &[]);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        answer["changes"], "changes policy, idle_timeout",
        "{answer}"
    );
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(warning.contains("idle_timeout"), "{answer}");
    let line = balancer
        .program
        .until("the configuration was read again, which changes policy");
    assert!(line.contains("PUT /reload from 127.0.0."), "{line}");

    changed["policy"] = "at-random".into();
    changed["min_healthy"] = 7.into();
    balancer.config().write(&changed.to_string());
    let (status, answer) = reload(&balancer, &[]);
    assert_eq!(status, 422, "{answer}");
    assert_eq!(answer["errors"].as_array().unwrap().len(), 2, "{answer}");
    balancer.program.until("the balancer goes on as before");
    is_greeted(&mut balancer.connect(), "a client");
}

#[test]
fn a_reload_needs_the_access_that_an_order_needs() {
    let token = json!({ "bind": "127.0.0.2:0", "token": "s3cret-token" });
    let config = Config::balancing(greeting(), json!({ "admin": token }));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), config);
    let cases = [
        (&[][..], 401),
        (&[("Authorization", "Bearer another-token")], 401),
        (
            &[
                ("Authorization", "Bearer s3cret-token"),
                ("Origin", "http://evil.example.com"),
            ],
            403,
        ),
        (&[("Authorization", "Bearer s3cret-token")], 200),
    ];
    for (headers, expected) in cases {
        let (status, answer) = reload(&balancer, headers);
        assert_eq!(status, expected, "{headers:?}: {answer}");
    }
    let get = ask_with(&balancer.admin, "GET /reload", &[("Host", "localhost")], "");
    assert!(get.starts_with("HTTP/1.1 405 "), "{get}");
}

#[test]
fn a_watched_file_is_read_again_when_it_changes_and_one_that_is_wrong_is_not_used() {
    let config = Config::forwarding(greeting(), json!({ "watch": true }));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), config);
    balancer
        .config()
        .forwards(json!({ "watch": true, "drain_timeout": "1s" }));
    balancer.program.until(
        "the file has changed: the configuration was read again, which changes drain_timeout",
    );

    shows_reloads(&balancer, 1, 1, 0);

    balancer.config().write("{");
    let line = balancer.program.until("the balancer goes on as before");
    assert!(line.contains("the file has changed: "), "{line}");
    shows_reloads(&balancer, 0, 1, 1);
    let before = configured_unix_ms(&balancer);
    balancer
        .config()
        .forwards(json!({ "watch": true, "drain_timeout": "1s" }));
    balancer
        .program
        .until("the file has changed, and means the same");
    shows_reloads(&balancer, 1, 1, 1);
    // Who compares this with the time of the file finds nothing to be read.
    assert!(configured_unix_ms(&balancer) > before);

    // Said once more, it ends there.
    balancer.config().forwards(json!({ "watch": false }));
    balancer.program.until("which changes watch, drain_timeout");
    let (status, answer) = reload(&balancer, &[]);
    assert_eq!(
        (status, &answer["changes"]),
        (200, &json!("changes nothing"))
    );
    is_greeted(&mut balancer.connect(), "a client");
}

fn configured_unix_ms(balancer: &Balancer) -> u64 {
    let answer = ask(&balancer.admin, "GET /host", "");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let host: Value = serde_json::from_str(body).unwrap();
    host["configured_unix_ms"].as_u64().unwrap()
}

/// What the metrics say of reloads: whether the file is in use, and how many succeeded and
/// failed.
fn shows_reloads(balancer: &Balancer, in_use: u64, succeeded: u64, failed: u64) {
    let of = |result| format!("dtr_lb_host_config_reloads_total{{result=\"{result}\"}}");
    let shown = [
        "dtr_lb_host_config_last_reload_successful",
        &of("success"),
        &of("failure"),
    ];
    let shown = shown.map(|name| balancer.metric(name));
    assert_eq!(shown, [in_use, succeeded, failed].map(Some));
}

#[test]
fn what_can_not_be_watched_is_refused() {
    let config = Config::forwarding(greeting(), json!({ "watch": true }));
    let mut command = dtr_lb(&["run", "--config", "-"]);
    command.stdin(fs::File::open(config.path()).unwrap());
    let output = output_of(&mut command);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.contains("standard input: \"watch\" needs a file"),
        "{error}"
    );
}

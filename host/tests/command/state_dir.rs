//! Orders that outlive the process.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::balancer::{Balancer, Config, greeting, is_greeted};
use crate::{ask, ask_with, dtr_lb, output, text};

fn order(admin: &str, body: &Value) -> String {
    let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
    ask_with(admin, "PUT /replicas/r1", &headers, &body.to_string())
}

fn replica(balancer: &Balancer) -> Value {
    let answer = ask(&balancer.admin, "GET /status", "");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut status: Value = serde_json::from_str(body).unwrap();
    status["replicas"][0].take()
}

/// One replica, whose orders are kept in this folder.
fn keeping(folder: &Path) -> Config {
    Config::balancing(greeting(), json!({ "state_dir": folder }))
}

#[test]
fn an_order_outlives_a_crash_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let balancer = Balancer::logging(&mut dtr_lb(&[]), keeping(folder.path()));
    let answer = order(
        &balancer.admin,
        &json!({ "state": "maintenance", "comment": "a new disk" }),
    );
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let ordered = replica(&balancer);
    // It has no time to write anything.
    balancer.program.signal(Signal::KILL);
    drop(balancer);

    let balancer = Balancer::logging(&mut dtr_lb(&[]), keeping(folder.path()));
    let found = replica(&balancer);
    for field in ["state", "order", "comment", "since_unix_ms"] {
        assert_eq!(found[field], ordered[field], "{field}");
    }
    assert_eq!(found["comment"], "a new disk");
    order(&balancer.admin, &json!({ "state": "ready" }));
    drop(balancer);

    let balancer = Balancer::logging(&mut dtr_lb(&[]), keeping(folder.path()));
    assert_eq!(replica(&balancer)["order"], "ready");
}

#[test]
fn an_order_that_can_not_be_kept_is_answered_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let balancer = Balancer::logging(&mut dtr_lb(&[]), keeping(folder.path()));
    fs::remove_dir_all(folder.path()).unwrap();
    let answer = order(&balancer.admin, &json!({ "state": "drain" }));
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("would not outlive a restart"), "{answer}");
    assert_eq!(replica(&balancer)["order"], "drain", "it holds");
    let line = balancer
        .program
        .until("replica \"r1\": the order drain holds, but would not");
    for part in ["WARN", "client=127.0.0.1:", "can't be written"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn a_folder_that_is_missing_is_refused_and_a_broken_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let missing = keeping(&folder.path().join("missing"));
    let output = output(&["run", "--config", missing.path()]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.contains("state_dir") && error.contains("is no folder; make it"),
        "{error}"
    );

    fs::write(folder.path().join("orders.json"), "{").unwrap();
    let balancer = Balancer::logging(&mut dtr_lb(&[]), keeping(folder.path()));
    let line = balancer.logged("orders.bad");
    assert!(line.contains("ERROR"), "{line}");
}

#[test]
fn clients_are_served_where_orders_can_not_be_written() {
    let folder = tempfile::tempdir().unwrap();
    // What is written goes there first; nothing can, as on a disk that is full.
    let blocked = folder.path().join("orders.new");
    fs::create_dir(&blocked).unwrap();
    let fields = json!({ "state_dir": folder.path(), "health": { "preset": "tcp" } });
    let config = Config::balancing(greeting(), fields);
    let balancer = Balancer::logging(&mut dtr_lb(&[]), config);
    is_greeted(&mut balancer.connect(), "who comes");
    let line = balancer.logged("orders can't be written");
    for part in ["ERROR", "give room or permission"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    balancer.program.signal(Signal::HUP);
    balancer.logged("the configuration was read again");
    fs::remove_dir(&blocked).unwrap();
    balancer.logged("orders are written again");
}

//! Orders that outlive the process.

use std::fs;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::balancer::{Balancer, Config, greeting, is_greeted};
use crate::running::{Running, eventually};
use crate::takeover::{message, successor, until};
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

#[test]
fn an_order_that_was_answered_during_a_takeover_holds_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let fields = json!({ "state_dir": folder.path(), "takeover_socket": "takeover.sock" });
    let old = Balancer::logging(&mut dtr_lb(&[]), Config::balancing(greeting(), fields));
    let (admin, is_over) = (old.admin.as_str(), AtomicBool::new(false));
    let ordered = || {
        let mut last = String::new();
        for number in 0.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let comment = number.to_string();
            let answer = order(admin, &json!({ "state": "drain", "comment": comment }));
            match answer.starts_with("HTTP/1.1 200 ") {
                true => last = comment,
                false => assert!(answer.contains("ask again"), "{answer}"),
            }
        }
        last
    };
    let (last, _new) = thread::scope(|scope| {
        let ordering = scope.spawn(ordered);
        old.program.signal(Signal::USR2);
        let new = successor(&old.program);
        is_over.store(true, Ordering::Relaxed);
        (ordering.join().unwrap(), new)
    });
    assert_eq!(replica(&old)["comment"], last);
    let kept = fs::read_to_string(folder.path().join("orders.json")).unwrap();
    assert!(kept.contains(&format!("\"comment\": \"{last}\"")), "{kept}");
}

#[test]
fn orders_that_another_filter_shares_in_its_own_form_are_those_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let fields = json!({ "state_dir": folder.path(), "takeover_socket": "takeover.sock" });
    let config = Config::balancing(greeting(), fields);
    let file = folder.path().join("orders.json");
    // Of a version that it does not know.
    fs::write(&file, r#"{"version": 9}"#).unwrap();
    let socket = Path::new(config.path()).with_file_name("takeover.sock");
    let predecessor = UnixListener::bind(&socket).unwrap();
    let program = Running::logging(&mut dtr_lb(&["run", "-c", config.path(), "--takeover"]));
    let (mut new, _) = predecessor.accept().unwrap();
    let send = |mut new: &UnixStream, text: &str| new.write_all(&message(text)).unwrap();
    let entry = r#"{"entry":{"shape":99,"key":"dtr.orders","value":""}}"#;
    until(&mut new, "hello");
    send(&new, entry);
    send(&new, "\"offered\"");
    until(&mut new, "ready");
    assert!(file.exists(), "the one that serves may need it");
    let order = json!({ "replica": "r1", "state": "drain", "since_unix_ms": 5,
                        "comment": "a new disk", "configured": "ready" });
    fs::write(
        &file,
        json!({ "version": 1, "orders": [order] }).to_string(),
    )
    .unwrap();
    drop(predecessor);
    fs::remove_file(&socket).unwrap();
    send(&new, entry);
    send(&new, "\"go\"");
    until(&mut new, "running");
    send(&new, "\"retired\"");
    let lines = program.lines_until("metrics on http://");
    let admin = lines.last().unwrap().split("http://").nth(1).unwrap();
    let admin = admin.split('/').next().unwrap();
    let status = eventually("the order", || {
        let answer = ask(admin, "GET /status", "");
        answer.contains("a new disk").then_some(answer)
    });
    assert!(status.contains("\"order\":\"drain\""), "{status}");
}

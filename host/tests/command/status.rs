//! `dtr-lb status`, and orders.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::balancer::{Config, echoing};
use crate::certificate::renew;
use crate::operator::Stage;
use crate::refusing_port::RefusingPort;
use crate::running::eventually;
use crate::terminal::OnTerminal;
use crate::{dtr_lb, output, output_of, text};

#[test]
fn the_status_shows_replicas_and_what_was_ordered() {
    let stage = Stage::new(json!({}));
    stage.row("r1", "healthy");
    stage.row("r2", "healthy");
    let shown = stage.does(&["status"]);
    let head = format!(
        "dtr-lb {} at {}: dtr.example.com, port 443, 2 of 2 replicas usable, 0 of ",
        env!("CARGO_PKG_VERSION"),
        stage.balancer.admin
    );
    assert!(shown.starts_with(&head), "{shown}");
    assert!(
        !shown.contains('\u{1b}'),
        "a pipe gets no colours: {shown:?}"
    );

    let done = stage.does(&["drain", "r2", "--comment", "a new disk"]);
    assert_eq!(done, "r2: drain, was healthy; no connection is open\n");
    let row = stage.row("r2", "drain");
    assert!(row.ends_with("a new disk"), "{row}");
    let done = stage.does(&["maintenance", "r2"]);
    assert_eq!(done, "r2: maintenance, was drain; no connection is open\n");
    assert_eq!(stage.does(&["ready", "r2"]), "r2: ready, was maintenance\n");
    stage.row("r2", "healthy");

    let whole: Value = serde_json::from_str(&stage.does(&["status", "--json"])).unwrap();
    assert_eq!(whole["replicas"][1]["name"], "r2", "{whole}");
    let unknown = stage.fails(&["drain", "r3"], 1);
    assert_eq!(
        unknown,
        "error: there is no replica \"r3\"; known: r1, r2\n"
    );
}

#[test]
fn the_last_usable_replica_is_taken_out_by_force_only() {
    let nobody = RefusingPort::new();
    let stage = Stage::of_replicas([echoing(), nobody.number()], json!({}));
    stage.row("r1", "healthy");
    stage.row("r2", "unhealthy");
    for order in ["drain", "maintenance"] {
        let refused = stage.fails(&[order, "r1"], 1);
        assert!(
            refused.starts_with("error: r1 is the last usable replica on port 443: ")
                && refused.contains("(r2: unhealthy)")
                && refused.ends_with("or give --force\n"),
            "{refused}"
        );
    }
    stage.row("r1", "healthy");
    stage.does(&["drain", "r1", "--force"]);
    stage.row("r1", "drain");
    let error = stage.fails(&["status"], 1);
    assert_eq!(
        error,
        "error: no usable replica: dtr.example.com on port 443\n"
    );
}

#[test]
fn a_balancer_that_drains_says_how_many_connections_are_open() {
    let cases = [
        (
            json!({ "drain_delay": "1h" }),
            "a drain is announced: ",
            "drain-announced",
        ),
        (json!({ "drain_timeout": "1h" }), "draining: ", "draining"),
    ];
    for (fields, begin, phase) in cases {
        let stage = Stage::new(fields);
        stage.row("r1", "healthy");
        stage.row("r2", "healthy");
        let mut client = stage.balancer.connect();
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        stage.balancer.program.signal(Signal::TERM);

        let shown = eventually("the drain to be shown", || {
            let asked = stage.ask(&["status"]);
            text(&asked.stdout).contains(begin).then_some(asked)
        });
        assert_eq!(shown.status.code(), Some(1));
        let (lines, error) = (text(&shown.stdout), text(&shown.stderr));
        let line = lines.lines().nth(1).unwrap();
        assert!(line.starts_with(begin), "{lines}");
        assert!(line.ends_with("; 1 connection is open"), "{lines}");
        assert_eq!(error, format!("error: {line}\n"));
        let json = stage.ask(&["status", "--json"]);
        assert_eq!(json.status.code(), Some(1));
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["host"]["phase"], phase, "{json}");
        assert_eq!(json["host"]["connections"]["active"], 1, "{json}");
    }
}

#[test]
fn a_live_status_is_stale_at_once_and_leaves_the_terminal_as_it_was() {
    for no_colour in [None, Some("1")] {
        let stage = Stage::new(json!({}));
        stage.row("r1", "healthy");
        let admin = &stage.balancer.admin;
        let arguments = ["status", "--watch", "--interval", "100ms", "--admin", admin];
        let mut command = dtr_lb(&arguments);
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        if let Some(value) = no_colour {
            command.env("NO_COLOR", value);
        }
        let mut shown = OnTerminal::start(&mut command);
        shown.until("healthy");
        stage.balancer.program.signal(Signal::KILL);
        shown.until("STALE, no answer for ");
        shown.until("? was healthy");
        shown.signal(Signal::INT);
        let (code, written) = shown.ends();
        assert_eq!(code, Some(0), "{written:?}");
        let other_screen = ("\u{1b}[?1049h", "\u{1b}[?1049l");
        assert!(written.starts_with(other_screen.0), "{written:?}");
        assert!(written.ends_with(other_screen.1), "{written:?}");
        let is_green = written.contains("\u{1b}[32mhealthy");
        assert_eq!(is_green, no_colour.is_none(), "{no_colour:?}: {written:?}");
    }
}

#[test]
fn a_live_status_in_a_pipe_is_plain_and_ends_with_its_reader() {
    let stage = Stage::new(json!({}));
    let admin = &stage.balancer.admin;
    let arguments = ["status", "-w", "--interval", "100ms", "--admin", admin];
    let mut child = dtr_lb(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let head = lines.find(|line| line.as_ref().unwrap().starts_with("dtr-lb"));
        let head = head.unwrap().unwrap();
        assert!(head.contains(admin), "{head}");
    }
    drop(lines);
    let status = eventually("its end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_listener_that_speaks_https_is_known_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (renew(folder.path(), "own"), renew(folder.path(), "other"));
    let admin = |bind: &str, tls: &Value| json!({ "bind": bind, "token": TOKEN, "tls": tls });
    let stage = Stage::new(json!({ "admin": admin("127.0.0.2:0", &own) }));
    let config = |name: &str, tls: &Value| {
        let replicas = [json!({ "address": "10.0.0.1" })];
        let admin = admin(&stage.balancer.admin, tls);
        let config = json!({ "fqdn": "dtr.example.com", "replicas": replicas, "admin": admin });
        stage.file(name, &config.to_string())
    };
    let (own, other) = (config("own.json", &own), config("other.json", &other));
    // Who may see the certificate alone asks all the same.
    std::fs::remove_file(folder.path().join("own.key")).unwrap();
    for arguments in [
        &["status", "-c", &own][..],
        &["health", "-c", &own],
        &["drain", "r1", "-c", &own],
        &["sessions", "-c", &own],
    ] {
        let output = output(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
    }
    let refused = output(&["ready", "r1", "-c", &other]);
    let error = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(
        error.contains("renewed since: reload the balancer (systemctl reload dtr-lb, or SIGHUP)"),
        "{error}"
    );
    stage.fails(&["status"], 1);
    let mut stale: Value = serde_json::from_str(&std::fs::read_to_string(&own).unwrap()).unwrap();
    stale["admin"]["token"] = json!("a-token-of-later");
    let stale = stage.file("stale.json", &stale.to_string());
    let refused = output(&["ready", "r1", "-c", &stale]);
    let error = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(error.contains("; reload it, so that"), "{error}");
    assert!(!error.contains("--admin"), "that can't be asked: {error}");
}

#[test]
fn what_is_not_there_or_not_asked_right_is_an_error() {
    let chain = Config::forwarding(1, json!({ "admin": { "bind": "127.0.0.1:2" } }));
    let nowhere = ["--admin", "127.0.0.1:1"];
    let cases: [(&[&str], i32, &str); 9] = [
        (&["status"], 2, "--config <FILE>"),
        (&["drain", "--admin", "127.0.0.1:1"], 2, "<NAME>"),
        (
            &["status", "-c", "x", "--token-file", "y"],
            2,
            "cannot be used with",
        ),
        (&["status", "-c", "x.json"], 2, "x.json"),
        (&["status", "--watch", "--json"], 2, "cannot be used with"),
        (
            &["status", "-c", chain.path()],
            2,
            "a chain of filters has no replicas",
        ),
        (
            &["drain", "r1", "-c", chain.path()],
            2,
            "a chain of filters has no replicas",
        ),
        (
            &["sessions", "--kill", "r 1"],
            1,
            "there is no replica \"r 1\"",
        ),
        (
            &["status"],
            1,
            "http://127.0.0.1:1/status: Connection refused",
        ),
    ];
    for (arguments, code, problem) in cases {
        let needs_address = code == 1;
        let more = if needs_address { &nowhere[..] } else { &[] };
        let output = output(&[arguments, more].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(problem), "{arguments:?}: {error}");
    }
    let output = output(&["status", "--json", "--admin", "127.0.0.1:1"]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = printed["error"].as_str().unwrap();
    assert!(error.contains("Connection refused"), "{printed}");
    for command in ["status", "sessions"] {
        let output = crate::output(&[command, "--json", "-c", "x.json"]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        let error = printed["error"].as_str().unwrap();
        assert!(error.contains("x.json"), "{command}: {printed}");
    }
}

#[test]
fn a_token_comes_from_a_file_the_variable_or_the_configuration() {
    let admin = json!({ "bind": "127.0.0.2:0", "token": TOKEN });
    let stage = Stage::new(json!({ "admin": admin }));
    let address = stage.balancer.admin.as_str();
    stage.row("r1", "healthy");
    stage.row("r2", "healthy");
    let drain = |more: &[&str], variable: Option<&str>| {
        let arguments = [&["drain", "r1"], more].concat();
        let mut command = dtr_lb(&arguments);
        command.stdout(Stdio::piped());
        command.env_remove("DTR_LB_ADMIN_TOKEN");
        if let Some(token) = variable {
            command.env("DTR_LB_ADMIN_TOKEN", token);
        }
        output_of(&mut command)
    };
    let right = &stage.file("right", &format!("{TOKEN}\n"));
    let wrong = &stage.file("wrong", "another-secret\n");
    let empty = &stage.file("empty", "\n");
    let two = &stage.file("two", &format!("{TOKEN}\n{TOKEN}\n"));
    let of_config = |name: &str, token: &str| {
        let admin = json!({ "bind": address, "token": token });
        let replicas = [json!({ "address": "10.0.0.1" })];
        let config = json!({ "fqdn": "dtr.example.com", "replicas": replicas, "admin": admin });
        stage.file(name, &config.to_string())
    };
    let config = &of_config("lb.json", TOKEN);
    let other = &of_config("other.json", "another-secret");
    let at = &["--admin", address][..];
    let from = |file| ["--admin", address, "--token-file", file];
    let of = |file| ["--config", file];
    let bad = Some("wrong-one");
    let cases: [Case<'_>; 10] = [
        ("none", at, None, 1, "DTR_LB_ADMIN_TOKEN"),
        ("an empty variable", at, Some(""), 1, "--token-file"),
        ("a wrong variable", at, bad, 1, "is wrong"),
        ("a wrong file", &from(wrong), None, 1, "is wrong"),
        ("an empty file", &from(empty), None, 2, "on one line"),
        ("two lines", &from(two), None, 2, "on one line"),
        (
            "another configuration",
            &of(other),
            Some(TOKEN),
            1,
            "another one",
        ),
        ("the variable", at, Some(TOKEN), 0, ""),
        ("the file before the variable", &from(right), bad, 0, ""),
        (
            "the configuration before the variable",
            &of(config),
            bad,
            0,
            "",
        ),
    ];
    for (why, arguments, variable, code, problem) in cases {
        let output = drain(arguments, variable);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{why}: {error}");
        assert!(error.contains(problem), "{why}: {error}");
        assert!(
            !error.contains("secret"),
            "{why}: the token is shown: {error}"
        );
    }
}

/// Why, arguments, the variable's value, exit code, and a part of the error.
type Case<'a> = (&'a str, &'a [&'a str], Option<&'a str>, i32, &'a str);

const TOKEN: &str = "a-long-secret";

#[test]
fn a_configuration_that_is_wrong_elsewhere_still_says_whom_to_ask() {
    let stage = Stage::new(json!({}));
    stage.row("r1", "healthy");
    stage.row("r2", "healthy");
    let admin = json!({ "bind": stage.balancer.admin });
    let edited = json!({ "polcy": "round-robin", "replicas": "not yet", "admin": admin });
    let edited = stage.file("lb.json", &edited.to_string());
    let commands: [&[&str]; 5] = [
        &["health"],
        &["status"],
        &["sessions"],
        &["drain", "r1"],
        &["ready", "r1"],
    ];
    for command in commands {
        let output = output(&[command, &["--config", &edited]].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{command:?}: {error}");
    }
}

//! `dtr-lb check`, and configurations that are wrong whatever the command.

use std::io::{Seek, Write};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::{dtr_lb, output, output_of, text};

#[test]
fn a_wrong_configuration_exits_with_2_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lb.json");
    std::fs::write(
        &file,
        r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.1", "weight": 0 }] }"#,
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let out = folder.path().join("out");
    let envoy = ["envoy", "--config", file, "--out", out.to_str().unwrap()];
    for arguments in [
        &["check", "--config", file][..],
        &["run", "--config", file],
        &envoy,
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = text(&output.stderr);
        let expected = format!("error: {file}: replicas[0].weight is 0; expected a whole number");
        assert!(stderr.starts_with(&expected), "{arguments:?}: {stderr}");
    }
    assert!(
        !out.exists(),
        "a refused configuration leaves nothing behind"
    );
}

#[test]
fn flags_that_are_missing_or_contradict_each_other_exit_with_2() {
    let cases = [
        (&["run"][..], "--fqdn"),
        (&["run", "--fqdn", "dtr.example.com"], "--replica"),
        (
            &["run", "--config", "lb.json", "--policy", "round-robin"],
            "cannot be used with",
        ),
        (&["check", "--config", "/no/such/lb.json"], "can't be read"),
    ];
    for (arguments, expected) in cases {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_right_configuration_is_confirmed() {
    let flags = [
        "check",
        "--fqdn",
        "dtr.example.com",
        "--replica",
        "10.0.0.1",
    ];
    let output = output(&flags);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    assert!(
        stdout.starts_with("ok: dtr.example.com listens on 0.0.0.0:80"),
        "{stdout}"
    );
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_no_panic() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut check = dtr_lb(&[
        "check",
        "--fqdn",
        "dtr.example.com",
        "--replica",
        "10.0.0.1",
    ]);
    let output = output_of(check.stdout(full));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: standard output can't be written: No space left on device (os error 28)\n"
    );
}

/// Runs it with a text on standard input.
fn output_with_input(arguments: &[&str], input: &str) -> Output {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    output_of(dtr_lb(arguments).stdin(file).stdout(Stdio::piped()))
}

#[test]
fn all_errors_are_printed_then_the_warnings() {
    let wrong = r#"{ "fqdn": "a b", "replicas": [{ "address": "10.0.0.1", "weight": 0 }],
        "idle_timeout": "1m" }"#;
    for arguments in [&["check", "-c", "-"][..], &["run", "--config", "-"]] {
        let output = output_with_input(arguments, wrong);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        let stderr = text(&output.stderr);
        let lines: Vec<&str> = stderr.lines().collect();
        let expected = [
            r#"error: standard input: fqdn is "a b"; "#,
            "error: standard input: replicas[0].weight is 0; ",
            r#"warning: standard input: idle_timeout is "1m"; "#,
        ];
        assert_eq!(lines.len(), expected.len(), "{stderr}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{arguments:?}: {stderr}");
        }
    }
}

#[test]
fn warnings_come_after_the_summary_and_are_errors_with_strict() {
    let flags = [
        "check",
        "--fqdn=dtr.example.com",
        "--replica=10.0.0.1",
        "--listen=127.0.0.1:5000",
        "--health-preset=distribution",
        "--verify=none",
    ];
    let lenient = output(&flags);
    assert_eq!(lenient.status.code(), Some(0));
    assert!(text(&lenient.stdout).starts_with("ok: dtr.example.com"));
    let stderr = text(&lenient.stderr);
    for expected in [
        r#"warning: command line: --health-target is "https:443/v2/"; "#,
        r#"give "https:5000/v2/", "http:5000/v2/" or what answers"#,
        r#"warning: command line: --verify is "none"; "#,
    ] {
        assert!(stderr.contains(expected), "{stderr}");
    }

    let strict = output(&[&flags[..], &["--strict"]].concat());
    assert_eq!(strict.status.code(), Some(2));
    assert_eq!(text(&strict.stdout), "");
    let expected = stderr.replace("warning: ", "error: ");
    assert_eq!(text(&strict.stderr), expected);

    let right = output(&[&flags[..3], &["--strict"]].concat());
    assert_eq!(right.status.code(), Some(0), "{}", text(&right.stderr));
}

#[test]
fn json_has_the_same_errors_warnings_and_exit_codes() {
    let right = r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.1" }],
        "idle_timeout": "1m" }"#;
    let wrong = right.replace("10.0.0.1", "10.0.0.300");
    let chain = r#"{ "listeners": [{ "bind": "127.0.0.1:80", "cluster": "web" }],
        "clusters": [{ "name": "web", "endpoints": ["10.0.0.1:80"] }] }"#;
    let cases = [
        (right, &["--json"][..], true, (0, 1)),
        (right, &["--json", "--strict"], false, (0, 1)),
        (&wrong, &["--json"], false, (1, 1)),
        ("{", &["--json"], false, (1, 0)),
        (chain, &["--json", "--strict"], true, (0, 0)),
    ];
    for (input, flags, ok, counts) in cases {
        let arguments = [&["check", "-c", "-"], flags].concat();
        let output = output_with_input(&arguments, input);
        assert_eq!(text(&output.stderr), "", "{input}");
        let code = if ok { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{input}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["ok"], ok, "{json}");
        assert_eq!(json["file"], "standard input");
        let count = |name: &str| json[name].as_array().unwrap().len();
        assert_eq!((count("errors"), count("warnings")), counts, "{json}");
        assert_eq!(json["summary"].is_null(), counts.0 > 0, "{json}");
    }

    let output = output_with_input(&["check", "-c", "-", "--json"], &wrong);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = &json["errors"][0];
    assert_eq!(error["field"], "replicas[0].address");
    assert_eq!(error["value"], r#""10.0.0.300""#);
    let problem = error["problem"].as_str().unwrap();
    assert!(problem.starts_with("expected an IPv4 address"), "{problem}");
    let message = format!(r#"standard input: replicas[0].address is "10.0.0.300"; {problem}"#);
    assert_eq!(error["message"], message);
    assert_eq!(json["warnings"][0]["field"], "idle_timeout");
}

#[test]
fn a_name_without_an_address_is_a_warning() {
    // No name server may know it (RFC 6761), and none need answer.
    let flags = [
        "--fqdn=dtr.example.com",
        "--replica=10.0.0.1",
        "--replica=dtr.invalid",
    ];
    let output = output(&[&["check"], &flags[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stderr = text(&output.stderr);
    let expected = r#"warning: command line: --replica is "dtr.invalid"; "#;
    assert!(stderr.starts_with(expected), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");

    let flags = [
        "--fqdn=dtr.example.com",
        "--replica=localhost",
        "--listen=127.0.0.1:8443=443",
    ];
    let output = crate::output(&[&["check"], &flags[..]].concat());
    assert_eq!(text(&output.stderr), "", "it has an address");
}

#[test]
fn flags_are_refused_in_the_words_of_flags() {
    let right = ["check", "--fqdn=dtr.example.com", "--replica=a=10.0.0.1"];
    let cases = [
        (
            "--replica=10.0.0.1:443",
            r#"--replica is "10.0.0.1:443"; expected an IPv4 address"#,
        ),
        ("--replica=::", r#"--replica is "::"; expected"#),
        (
            "--replica=a=10.0.0.2",
            r#"--replica is "a"; another replica has the same name"#,
        ),
        (
            "--replica=10.0.0.1",
            r#"--replica is "10.0.0.1"; another replica has the same address"#,
        ),
        (
            "--listen=443",
            r#"--listen is "443"; expected an IP address and a port"#,
        ),
        (
            "--listen=127.0.0.1:0",
            r#"--listen is "127.0.0.1:0"; port 0 means any free port; say which of the service's ports it serves, such as 127.0.0.1:0=443"#,
        ),
        (
            "--listen=127.0.0.1:81=x",
            r#"--listen is "x"; expected a whole number from 1 to 65535"#,
        ),
        (
            "--admin=8181",
            r#"--admin is "8181"; expected an IP address and a port"#,
        ),
        (
            "--admin=0.0.0.0:8181",
            r#"--admin is "0.0.0.0:8181"; every client that reaches it"#,
        ),
        (
            "--health-target=x",
            r#"--health-target is "x"; expected a target"#,
        ),
        (
            "--health-preset=x",
            r#"--health-preset is "x"; expected one of dtr"#,
        ),
        (
            "--policy=x",
            r#"--policy is "x"; expected one of least-connections"#,
        ),
        ("--verify=None", r#"--verify is "None"; neither"#),
    ];
    for (flag, expected) in cases {
        let output = output(&[&right[..], &[flag]].concat());
        let stderr = text(&output.stderr);
        assert_eq!(stderr.lines().count(), 1, "{flag}: {stderr}");
        assert!(
            stderr.contains(&format!(": command line: {expected}")),
            "{flag}: {stderr}"
        );
        for word in [
            "\"ports\"",
            "replicas[",
            "listeners[",
            "admin.",
            "without quotes",
            "\"port\"",
        ] {
            assert!(!stderr.contains(word), "{flag}: {word} in {stderr}");
        }
    }
}

#[test]
fn missing_flags_name_the_file_as_well() {
    for arguments in [&["run"][..], &["check"], &["envoy", "--out", "x"]] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("<--config <FILE>|--fqdn <NAME>>"),
            "{stderr}"
        );
    }
    let stderr = text(&output(&["run", "--replica", "10.0.0.1"]).stderr);
    assert!(stderr.contains("--fqdn <NAME>"), "{stderr}");
}

#[test]
fn the_schema_is_json() {
    let output = output(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema, dtr_lb::config::json_schema());
}

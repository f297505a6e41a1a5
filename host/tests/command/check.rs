//! `dtr-lb check`, and configurations that are wrong whatever the command.

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

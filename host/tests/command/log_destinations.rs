//! Where the log goes: files that are rotated, and sockets.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::balancer::{Balancer, Config, greeting};
use crate::refusing_port::RefusingPort;
use crate::running::{connect, eventually};
use crate::{dtr_lb, output_of, text};

#[test]
fn a_file_is_rotated_under_load_and_no_line_is_lost_or_torn() {
    let folder = tempfile::tempdir().unwrap();
    let (log, access) = (folder.path().join("log"), folder.path().join("access"));
    let mut command = dtr_lb(&["--log-to", path(&log), "--access-log-to", path(&access)]);
    let config = Config::forwarding(greeting(), json!({}));
    let program = Balancer::silent(command.stderr(Stdio::null()), config);
    std::thread::scope(|scope| {
        let address = &program.address;
        scope.spawn(move || (0..CONNECTIONS).for_each(|_| answers(address)));
        for rotation in 0..5 {
            if rotation == 3 {
                program.config().write("{");
            }
            for file in [&log, &access] {
                fs::rename(file, rotated(file, rotation)).unwrap();
            }
            program.program.signal(Signal::HUP);
            for file in [&log, &access] {
                let exists = || file.exists().then_some(());
                eventually("a new file", exists);
            }
        }
    });
    program.program.signal(Signal::TERM);
    assert_eq!(program.program.ends(), Some(0));

    let all = |file: &PathBuf| -> Vec<String> {
        let files = (0..5).map(|rotation| rotated(file, rotation));
        let texts = files
            .chain([file.clone()])
            .map(|file| fs::read_to_string(file).unwrap());
        texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    };
    let lines = all(&access);
    assert_eq!(lines.len(), CONNECTIONS, "{lines:#?}");
    for line in lines {
        let is_whole = line.contains(" INFO access: connection client=")
            && line.ends_with(" reason=\"replica-closed\"");
        assert!(is_whole, "{line}");
    }
    let lines = all(&log);
    let refused = lines
        .iter()
        .filter(|line| line.contains("goes on as before"));
    assert!(refused.count() > 0, "{lines:#?}");
    assert!(
        lines.iter().all(|line| !line.contains(" access: ")),
        "{lines:#?}"
    );
}

#[test]
fn a_file_that_cannot_be_opened_anew_is_reported_and_the_old_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let config = Config::forwarding(greeting(), json!({}));
    let (mut stderr, pipe) = std::io::pipe().unwrap();
    let program = {
        let mut command = dtr_lb(&["--log-to", path(&log)]);
        Balancer::silent(command.stderr(pipe), config)
    };
    fs::rename(&log, rotated(&log, 0)).unwrap();
    fs::create_dir(&log).unwrap();
    program.program.signal(Signal::HUP);
    let says = format!("the log's file {log:?} can't be opened anew: ");
    let old = || fs::read_to_string(rotated(&log, 0)).unwrap();
    eventually("the old file to say it", || {
        old().contains(&says).then_some(())
    });
    answers(&program.address);
    eventually("a line in the old file", || {
        old().contains(" access: ").then_some(())
    });
    program.program.signal(Signal::TERM);
    assert_eq!(program.program.ends(), Some(0));
    let mut printed = String::new();
    stderr.read_to_string(&mut printed).unwrap();
    assert!(printed.starts_with(&format!("error: {says}")), "{printed}");
}

#[test]
fn a_destination_that_cannot_be_is_refused_by_name() {
    let config = Config::forwarding(443, json!({}));
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let cases = [
        (
            "--log-to",
            "/nowhere/log",
            "written to \"/nowhere/log\": No such file",
        ),
        ("--access-log-to", path(folder.path()), "Is a directory"),
        // It would be waited for.
        ("--log-to", path(&pipe), "No such device or address"),
        (
            "--log-to",
            "",
            "expected stderr, syslog, journald, off or the path of a file",
        ),
    ];
    for (flag, to, says) in cases {
        let arguments = [flag, to, "check", "--config", config.path()];
        let output = output_of(dtr_lb(&arguments).stdout(Stdio::null()));
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{to}: {stderr}");
        assert!(stderr.contains(says), "{to}: {stderr}");
    }
}

#[test]
fn each_log_can_be_off() {
    let folder = tempfile::tempdir().unwrap();
    for (off, other) in [
        ("--log-to", "--access-log-to"),
        ("--access-log-to", "--log-to"),
    ] {
        let file = folder.path().join(other);
        let config = Config::forwarding(greeting(), json!({}));
        let mut command = dtr_lb(&[off, "off", other, path(&file)]);
        let program = Balancer::silent(command.stderr(Stdio::null()), config);
        answers(&program.address);
        program.program.signal(Signal::TERM);
        assert_eq!(program.program.ends(), Some(0));
        let text = fs::read_to_string(&file).unwrap();
        let has_access = text.contains(" access: connection ");
        let has_others = text.contains(" dtr_lb::");
        let expected = (other == "--access-log-to", other == "--log-to");
        assert_eq!((has_access, has_others), expected, "{off} off: {text}");
    }
}

#[test]
fn what_is_known_of_a_replica_are_members_of_a_line_of_json() {
    let nobody = RefusingPort::new();
    let config = Config::balancing(
        nobody.number(),
        json!({ "health": { "target": "tcp:443" } }),
    );
    let program = Balancer::logging(&mut dtr_lb(&["--log-format", "json"]), config);
    let line = program.logged("is unhealthy");
    let event: Value = serde_json::from_str(&line).unwrap();
    let members = [
        "level", "target", "replica", "address", "check", "reason", "error",
    ];
    let members = members.map(|member| event[member].as_str().unwrap_or_default());
    let refused = "Connection refused";
    let expected = [
        "WARN",
        "balancer",
        "r1",
        "127.0.0.1",
        "ping",
        "refused",
        refused,
    ];
    assert_eq!(members, expected, "{line}");
    let line = program.logged("no replica is left");
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["level"], "ERROR", "{line}");
    assert_eq!(event["reason"], "all-down", "{line}");

    let mut client = program.connect();
    assert_eq!(client.read(&mut [0]).unwrap_or_default(), 0, "refused");
    let line = program.program.until("\"access\"");
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["message"], "connection", "{line}");
    assert_eq!(event["reason"], "all-down", "{line}");
    assert_eq!(
        event["client"],
        client.local_addr().unwrap().to_string(),
        "{line}"
    );
}

/// One whole connection.
fn answers(address: &str) {
    let mut greeting = String::new();
    connect(address).read_to_string(&mut greeting).unwrap();
    assert_eq!(greeting, "hello");
}

fn rotated(file: &Path, rotation: usize) -> PathBuf {
    file.with_extension(rotation.to_string())
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

const CONNECTIONS: usize = 400;

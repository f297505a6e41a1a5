//! The log on standard error, whether it is read or not.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use rustix::pipe::fcntl_setpipe_size;
use rustix::process::Signal;
use serde_json::json;

use crate::balancer::{Balancer, Config, greeting};
use crate::running::eventually;
use crate::{dtr_lb, output_of, text};

#[test]
fn a_full_pipe_stops_neither_connections_nor_the_end() {
    let (stderr, pipe) = std::io::pipe().unwrap();
    fcntl_setpipe_size(&pipe, 4096).unwrap();
    let program = start(pipe.into());
    // 200 bytes of log each.
    for _ in 0..1500 {
        answers(&program);
    }
    let accepted = program.metric("dtr_lb_host_connections_accepted_total");
    assert_eq!(accepted, Some(1500));
    program.config().forwards(json!({ "max_connections": 77 }));
    program.program.signal(Signal::HUP);
    eventually("the limit of the new configuration", || {
        let limit = program.metric("dtr_lb_host_connections_limit");
        (limit == Some(77)).then_some(())
    });
    answers(&program);
    program.program.signal(Signal::TERM);
    assert_eq!(program.program.ends(), Some(0));
    drop(stderr);
}

#[test]
fn a_log_that_cannot_be_written_is_dropped_and_counted_and_ends_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let cases: [(&str, Stdio); 2] = [("a full disk", full.into()), ("no reader", closed.into())];
    for (why, stderr) in cases {
        let program = start(stderr);
        let before = dropped_above(&program, why, 0);
        for _ in 0..10 {
            answers(&program);
        }
        let after = dropped_above(&program, why, before + 9);
        program.program.signal(Signal::HUP);
        // The line that says so.
        dropped_above(&program, why, after);
        answers(&program);
        program.program.signal(Signal::TERM);
        assert_eq!(program.program.ends(), Some(0), "{why}");
    }
}

#[test]
fn the_last_lines_are_written_before_the_end() {
    let (mut stderr, pipe) = std::io::pipe().unwrap();
    let program = start(pipe.into());
    answers(&program);
    program.program.signal(Signal::TERM);
    assert_eq!(program.program.ends(), Some(0));
    let mut log = String::new();
    stderr.read_to_string(&mut log).unwrap();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains(" drained finished="), "{log}");
    assert!(log.contains("reason=\"replica-closed\""), "{log}");
}

#[test]
fn what_the_log_is_asked_for_is_right_or_refused() {
    let config = Config::forwarding(443, json!({}));
    let check = |asked: &str| {
        let mut command = dtr_lb(&["check", "--config", config.path()]);
        let output = output_of(command.env("DTR_LB_LOG", asked).stdout(Stdio::null()));
        (output.status.code(), text(&output.stderr))
    };
    for right in [
        "",
        "info",
        "WARN",
        "off",
        "trace",
        "debug,access=off",
        "balancer=debug",
    ] {
        assert_eq!(check(right), (Some(0), String::new()), "{right:?}");
    }
    for wrong in [
        "verbose",
        "WARNING",
        "info debug",
        "info,",
        "rustls=debug",
        "access=1",
    ] {
        let (code, stderr) = check(wrong);
        assert_eq!(code, Some(2), "{wrong:?}: {stderr}");
        let says = format!("error: DTR_LB_LOG is {wrong:?}: ");
        assert!(stderr.starts_with(&says), "{stderr}");
        assert!(
            stderr.contains("expected off, error, warn, info, debug or trace"),
            "{stderr}"
        );
    }
}

/// With this standard error.
fn start(stderr: Stdio) -> Balancer {
    let config = Config::forwarding(greeting(), json!({}));
    Balancer::silent(dtr_lb(&[]).stderr(stderr), config)
}

/// One whole connection.
fn answers(program: &Balancer) {
    let mut greeting = String::new();
    program.connect().read_to_string(&mut greeting).unwrap();
    assert_eq!(greeting, "hello");
}

/// Waits until more log lines than this were dropped; how many.
fn dropped_above(program: &Balancer, why: &str, limit: u64) -> u64 {
    eventually(&format!("dropped lines ({why})"), || {
        let dropped = program.metric("dtr_lb_host_log_lines_dropped_total");
        dropped.filter(|dropped| *dropped > limit)
    })
}

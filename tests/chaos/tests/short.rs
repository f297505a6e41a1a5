//! The short form of each event whose expectation holds, on both hosts: the same
//! command that people run, a third of each pause, 100 connections a second. Cases
//! mostly wait, so that some run at the same time even on two cores.

use std::process::Command;

#[test]
fn no_client_of_the_host_sees_a_fault() {
    holds_on("host", "4");
}

#[test]
fn no_client_of_envoy_sees_a_fault() {
    holds_on("envoy", "3");
}

fn holds_on(proxy: &str, jobs: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_chaos"))
        .args(["--short", "--proven", "--jobs", jobs, "--proxy", proxy])
        .output();
    let output = output.unwrap_or_else(|error| panic!("can't run chaos: {error}"));
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

//! The program as a shell sees it: what it prints, and how it exits.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod balancer;
mod certificate;
mod chain;
mod check;
mod cluster_status;
mod demo;
mod discover;
mod doctor;
mod envoy;
mod files;
mod health;
mod image;
mod import;
mod log;
mod log_destinations;
mod manual;
mod name_server;
mod operator;
mod probe;
mod refusing_port;
mod registry;
mod reload;
mod run;
mod running;
mod service_manager;
mod sessions;
mod signals;
mod socket_activation;
mod state_dir;
mod status;
mod takeover;
mod terminal;

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;

use rustix::process::{Pid, Signal, kill_process};

use running::{LIMIT, connect};

fn dtr_lb(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dtr-lb"));
    command.args(arguments).env_remove("DTR_LB_LOG");
    // Not that of the user who runs the tests.
    let module_cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/modules");
    command.env("DTR_LB_CACHE_DIR", module_cache);
    command
}

/// Runs it to its end.
fn output(arguments: &[&str]) -> Output {
    output_of(dtr_lb(arguments).stdout(Stdio::piped()))
}

fn output_of(command: &mut Command) -> Output {
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (sender, output) = channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = output.recv_timeout(LIMIT).unwrap_or_else(|_| {
        let _ = kill_process(pid, Signal::KILL);
        panic!("{command:?} goes on after {LIMIT:?}")
    });
    output.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The whole answer to a request.
fn ask(address: &str, head: &str, body: &str) -> String {
    ask_with(address, head, &[("Host", "dtr.example.com")], body)
}

/// The same with these headers; `Host` is to be among them.
fn ask_with(address: &str, head: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut stream = connect(address);
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers: String = headers.collect();
    let request = format!(
        "{head} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

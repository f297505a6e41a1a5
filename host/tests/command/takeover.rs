//! One process goes on in the place of another: SIGUSR2, and `dtr-lb run --takeover`.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::balancer::{Balancer, Config, echoing, greeting, is_greeted};
use crate::refusing_port::RefusingPort;
use crate::running::{LIMIT, Running, connect, eventually};
use crate::service_manager::Manager;
use crate::{ask, ask_with, dtr_lb, output, output_of, text};

#[test]
fn sigusr2_has_a_new_process_serve_and_the_old_one_drain() {
    let old = start(Config::forwarding(echoing(), fields()));
    let mut early = old.connect();
    greet(&mut early, "before");
    old.program.signal(Signal::USR2);
    let new = successor(&old.program);
    greet(&mut early, "who came before");
    for _ in 0..20 {
        greet(&mut old.connect(), "who comes to the new one");
    }
    let ready = ask(&old.admin, "GET /ready", "");
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    drop(early);
    old.program.until("drained finished=1");
    old.program.until("has no connections left");
    assert!(socket(&old).exists(), "it is the new one's");

    // And once more, from the one that took over.
    kill_process(new.0, Signal::USR2).unwrap();
    let newest = successor(&old.program);
    greet(&mut old.connect(), "who comes to the third");
    kill_process(newest.0, Signal::TERM).unwrap();
    old.program
        .until("SIGTERM: no more connections are accepted");
}

#[test]
fn a_new_process_that_fails_leaves_the_old_one_as_it_was() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let old = start(Config::forwarding(greeting(), fields()));
    let mut more = fields();
    more["listeners"] = json!([{ "bind": taken, "cluster": "web" }]);
    let in_use =
        format!("a takeover failed: the new process does not start: can't listen on {taken}: ");
    let cases: [(&str, &dyn Fn(), &str); 2] = [
        (
            "a wrong configuration",
            &|| old.config().write("{}"),
            "error: ",
        ),
        (
            "a port in use",
            &|| old.config().forwards(more.clone()),
            &in_use,
        ),
    ];
    for (why, write, problem) in cases {
        write();
        old.program.signal(Signal::USR2);
        let over = "and has not taken over; this process goes on";
        let lines = until_all(&old.program, &[over, problem]);
        let killed = lines.iter().find(|line| line.contains("SIGKILL"));
        assert_eq!(killed, None, "{why}: nobody else has ended it");
        is_greeted(&mut old.connect(), why);
    }
    old.config().forwards(fields());
    old.program.signal(Signal::USR2);
    let _new = successor(&old.program);
    is_greeted(&mut old.connect(), "once it is right");
    assert_eq!(old.program.ends(), Some(0));
}

#[test]
fn who_breaks_off_changes_nothing_and_keeps_others_away_only_meanwhile() {
    let old = start(Config::forwarding(greeting(), fields()));
    let mut hanging = UnixStream::connect(socket(&old)).unwrap();
    hanging.set_read_timeout(Some(LIMIT)).unwrap();
    hanging
        .write_all(&message(r#"{"hello":{"version":1,"program":"0"}}"#))
        .unwrap();
    old.program.until("takes over; this one serves until then");
    until(&mut hanging, "\"offered\"");

    // Two at once.
    let mut other = dtr_lb(&["run", "--config", old.config().path(), "--takeover"]);
    let output = output_of(&mut other);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    let expected = "error: the process that serves refuses: another process is taking over\n";
    assert!(stderr.ends_with(expected), "{stderr}");
    old.program
        .until("a takeover is refused: another process is taking over");

    // As one that is killed.
    drop(hanging);
    old.program
        .until("a takeover failed: the other process ended, or closed the socket; this process");
    is_greeted(&mut old.connect(), "after it is gone");

    let mut garbage = UnixStream::connect(socket(&old)).unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    old.program
        .until("a takeover failed: the other process sent what is no message here");
    is_greeted(&mut old.connect(), "after the garbage");

    let mut other = dtr_lb(&["run", "--config", old.config().path(), "--takeover"]);
    let new = Running::logging(&mut other);
    new.until("this process accepts in place of process");
    is_greeted(&mut connect(&old.address), "who comes to the new one");
    let Balancer { program, .. } = old;
    assert_eq!(program.ends(), Some(0));
}

#[test]
fn a_process_that_is_being_started_outlives_others_on_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Starts once it may, as one of another release may take a while.
    let may_start = at("may-start");
    let made = Command::new("mkfifo").arg(&may_start).status().unwrap();
    assert!(made.success());
    // Of a pipe that is open both ways nobody waits for the other end.
    let mut start = (File::options().read(true).write(true))
        .open(&may_start)
        .unwrap();
    let mut command = dtr_lb(&[]);
    let (fifo, program) = (may_start.display(), command.get_program().display());
    let script = format!("#!/bin/sh\nread -r _ < '{fifo}'\nexec '{program}' \"$@\"\n");
    fs::write(at("slow"), script).unwrap();
    fs::set_permissions(at("slow"), Permissions::from_mode(0o755)).unwrap();
    // What it is called as is what it starts.
    command.arg0(at("slow")).env("DTR_LB_LOG", "debug");
    let old = Balancer::logging(&mut command, Config::forwarding(greeting(), fields()));
    old.program.signal(Signal::USR2);
    let _new = successor_of(&old.program.until(") is to take over"));

    let looking = output_of(&mut dtr_lb(&["run", "--config", old.config().path()]));
    assert_eq!(looking.status.code(), Some(1));
    let lines = old.program.lines_until("no takeover: ");
    let failed = lines.iter().find(|line| line.contains("a takeover failed"));
    assert_eq!(failed, None, "nobody has tried to take over");

    let mut garbage = UnixStream::connect(socket(&old)).unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let over = "a takeover failed: the other process sent what is no message here";
    old.program.until(over);

    start.write_all(b"now\n").unwrap();
    let accepts = "this process accepts in place of process";
    until_all(&old.program, &[accepts]);
    is_greeted(&mut old.connect(), "who comes to the new one");
}

#[test]
fn orders_and_verdicts_go_over() {
    let nobody = RefusingPort::new();
    let mut fields = fields();
    // It is asked once, and by the new process only if that knows of no answer.
    fields["health"] = json!({ "preset": "tcp", "interval": "1h", "fast_interval": "1h" });
    fields["health"]["timeout"] = json!("1s");
    let old = start(Config::balancing(nobody.number(), fields));
    let seen = |what: &str| {
        let answer = ask(&old.admin, "GET /status", "");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let status: Value = serde_json::from_str(body).unwrap();
        status["replicas"][0].pointer(what).unwrap().clone()
    };
    eventually("a verdict", || {
        (seen("/checks/0/verdict") == "unhealthy").then_some(())
    });
    let path = "PUT /replicas/r1?state=drain";
    let ordered = ask_with(&old.admin, path, &[("Host", "localhost")], "");
    assert!(ordered.starts_with("HTTP/1.1 200 "), "{ordered}");
    let _now_well = nobody.listen();
    old.program.signal(Signal::USR2);
    let _new = successor(&old.program);
    assert_eq!(seen("/order"), "drain");
    assert_eq!(seen("/checks/0/verdict"), "unhealthy");
    assert_eq!(old.program.ends(), Some(0));
}

#[test]
fn connections_that_stay_with_the_old_process_are_listed_and_ended_by_the_new_one() {
    let mut fields = fields();
    fields["health"] = json!({ "preset": "tcp" });
    let old = start(Config::balancing(echoing(), fields));
    let mut early = old.connect();
    greet(&mut early, "before");
    old.program.signal(Signal::USR2);
    let newer = successor(&old.program);
    // And once more: it asks the one before, which asks the first.
    kill_process(newer.0, Signal::USR2).unwrap();
    let _newest = successor(&old.program);
    let does = |command: &[&str]| {
        let answer = output(&[command, &["--admin", &old.admin]].concat());
        assert!(answer.status.success(), "{}", text(&answer.stderr));
        text(&answer.stdout)
    };
    let listed = does(&["sessions", "--replica", "r1"]);
    let client = early.local_addr().unwrap().to_string();
    assert!(listed.contains(&client), "{listed}");
    assert!(listed.ends_with("\n1 connection\n"), "{listed}");
    let drained = does(&["drain", "r1", "--force"]);
    assert!(
        drained.ends_with("; 1 open connection goes on\n"),
        "{drained}"
    );
    let killed = does(&["sessions", "--kill", "r1"]);
    assert_eq!(killed, "r1: 1 connection was ended\n");
    let error = early.read(&mut [0; 1]).expect_err("it is reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    old.program.until("has no connections left");
    assert_eq!(does(&["sessions"]), "0 connections\n");
}

#[test]
fn who_has_closed_all_in_the_old_process_is_not_refused_by_the_new_one() {
    let mut fields = fields();
    fields["health"] = json!({ "preset": "tcp" });
    fields["per_client_max_connections"] = json!(2);
    let old = start(Config::balancing(echoing(), fields));
    let mut early = [old.connect(), old.connect()];
    for client in &mut early {
        greet(client, "before");
    }
    old.program.signal(Signal::USR2);
    let _new = successor(&old.program);
    drop(early);
    old.program.until("has no connections left");
    greet(&mut old.connect(), "who has nothing open");
}

#[test]
fn systemd_is_notified_by_the_old_process_and_then_by_the_new_one() {
    let manager = Manager::new();
    let next = || manager.next();
    let mut command = dtr_lb(&[]);
    command.env("NOTIFY_SOCKET", manager.path());
    let old = Balancer::logging(&mut command, Config::forwarding(greeting(), fields()));
    assert!(next().starts_with("READY=1\n"));
    old.program.signal(Signal::USR2);
    let new = successor(&old.program);
    assert_eq!(next().trim_end(), format!("MAINPID={}", new.0.as_raw_pid()));
    assert!(next().starts_with("READY=1\n"));
    assert_eq!(old.program.ends(), Some(0));
    kill_process(new.0, Signal::TERM).unwrap();
    let stopping = next();
    assert!(
        stopping.starts_with("STOPPING=1\n"),
        "not of the old: {stopping}"
    );
}

#[test]
fn where_nobody_can_take_over_that_is_said() {
    let old = Balancer::logging(&mut dtr_lb(&[]), Config::forwarding(greeting(), json!({})));
    old.program.signal(Signal::USR2);
    let line = old
        .program
        .until("SIGUSR2: no process can take over: there is no socket");
    assert!(line.contains("give a \"takeover_socket\""), "{line}");
    is_greeted(&mut old.connect(), "all is as before");

    let unknown = output_of(&mut dtr_lb(&[
        "run",
        "--config",
        old.config().path(),
        "--takeover",
    ]));
    assert_eq!(unknown.status.code(), Some(2));
    let stderr = text(&unknown.stderr);
    assert!(stderr.contains("give --takeover=SOCKET"), "{stderr}");

    let nobody = [
        "run",
        "--config",
        old.config().path(),
        "--takeover=/nowhere/a.sock",
    ];
    let nobody = output_of(&mut dtr_lb(&nobody));
    assert_eq!(nobody.status.code(), Some(1));
    let stderr = text(&nobody.stderr);
    assert!(
        stderr.contains("no dtr-lb can be reached at \"/nowhere/a.sock\""),
        "{stderr}"
    );
    assert!(
        stderr.contains("start without --takeover where none runs"),
        "{stderr}"
    );
}

#[test]
fn a_second_process_on_the_same_socket_is_refused() {
    let old = start(Config::forwarding(greeting(), fields()));
    let output = output_of(&mut dtr_lb(&["run", "--config", old.config().path()]));
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("another process listens on"), "{stderr}");
    assert!(stderr.contains("start with --takeover"), "{stderr}");
    is_greeted(&mut old.connect(), "the first one");
}

#[test]
fn a_socket_that_can_not_be_made_is_an_error_of_check() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "").unwrap();
    drop(UnixListener::bind(at("left.sock")).unwrap());
    let cases = [
        ("missing/a.sock", "missing is no folder; make it, "),
        ("file", "file is there and is no socket; give another"),
        ("left.sock", ""),
        ("new.sock", ""),
    ];
    for (name, problem) in cases {
        let config = Config::balancing(1, json!({ "takeover_socket": at(name) }));
        let output = output_of(&mut dtr_lb(&["check", "--config", config.path()]));
        let error = text(&output.stderr);
        match problem {
            "" => assert_eq!(output.status.code(), Some(0), "{name}: {error}"),
            _ => {
                assert_eq!(output.status.code(), Some(2), "{name}");
                let begins = error.contains(": takeover_socket is ");
                assert!(begins && error.contains(problem), "{name}: {error}");
            }
        }
    }
}

fn fields() -> Value {
    json!({ "takeover_socket": "takeover.sock", "drain_timeout": "60s" })
}

fn start(config: Config) -> Balancer {
    Balancer::logging(&mut dtr_lb(&[]), config)
}

fn socket(balancer: &Balancer) -> PathBuf {
    Path::new(balancer.config().path()).with_file_name("takeover.sock")
}

/// Sends something to a replica that sends it back, and reads that.
fn greet(client: &mut TcpStream, who: &str) {
    client.write_all(b"hello").unwrap();
    is_greeted(client, who);
}

/// A process that is ended whatever happens: the one that has taken over, which logs to the
/// same place.
pub(crate) struct Successor(Pid);

impl Drop for Successor {
    fn drop(&mut self) {
        // It may have ended.
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// The process that takes over at SIGUSR2, once it has.
pub(crate) fn successor(program: &Running) -> Successor {
    let texts = [
        ") is to take over",
        "another process accepts now; the open connections have 1m to end",
        "this process accepts in place of process",
    ];
    let seen = until_all(program, &texts);
    let started = seen.iter().find(|line| line.contains(texts[0]));
    successor_of(started.unwrap())
}

/// The process that is started, as a line says.
fn successor_of(line: &str) -> Successor {
    let process = Regex::new(r"process (\d+) \(.*\) is to take over").unwrap();
    let process = process.captures(line).unwrap();
    Successor(Pid::from_raw(process[1].parse().unwrap()).unwrap())
}

/// Lines of two processes, which come in any order.
fn until_all(program: &Running, texts: &[&str]) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for text in texts {
        if !seen.iter().any(|line| line.contains(text)) {
            seen.extend(program.lines_until(text));
        }
    }
    seen
}

pub(crate) fn message(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

pub(crate) fn until(stream: &mut UnixStream, text: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).unwrap();
        assert!(
            count > 0,
            "no {text}, but {}",
            String::from_utf8_lossy(&seen)
        );
        seen.extend(&bytes[..count]);
    }
}

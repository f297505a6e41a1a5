//! The log on standard error, whoever reads it or does not.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::process::Stdio;
use std::thread;

use rustix::pipe::fcntl_setpipe_size;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::running::{Running, connect, eventually};
use crate::{ask, dtr_lb, output_of, text};

#[test]
fn a_full_pipe_stops_neither_connections_nor_the_end() {
    let (stderr, pipe) = std::io::pipe().unwrap();
    fcntl_setpipe_size(&pipe, 4096).unwrap();
    let echo = Echo::start(pipe.into());
    // 200 bytes of log each.
    for _ in 0..1500 {
        echo.answers();
    }
    let metrics = ask(&echo.admin, "GET /metrics", "");
    assert!(metrics.contains("dtr_lb_host_connections_accepted_total 1500\n"));
    echo.program.signal(Signal::HUP);
    eventually("the workers of a reload", || {
        ask(&echo.admin, "GET /ready", "")
            .starts_with("HTTP/1.1 200 ")
            .then_some(())
    });
    echo.answers();
    echo.program.signal(Signal::TERM);
    assert_eq!(echo.program.ends(), Some(0));
    drop(stderr);
}

#[test]
fn a_log_that_cannot_be_written_is_dropped_and_counted_and_ends_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let cases: [(&str, Stdio); 2] = [("a full disk", full.into()), ("no reader", closed.into())];
    for (why, stderr) in cases {
        let echo = Echo::start(stderr);
        let before = echo.dropped_above(why, 0);
        for _ in 0..10 {
            echo.answers();
        }
        let after = echo.dropped_above(why, before + 9);
        echo.program.signal(Signal::HUP);
        // The line that says so.
        echo.dropped_above(why, after);
        echo.answers();
        echo.program.signal(Signal::TERM);
        assert_eq!(echo.program.ends(), Some(0), "{why}");
    }
}

#[test]
fn the_last_lines_are_written_before_the_end() {
    let (mut stderr, pipe) = std::io::pipe().unwrap();
    let echo = Echo::start(pipe.into());
    echo.answers();
    echo.program.signal(Signal::TERM);
    assert_eq!(echo.program.ends(), Some(0));
    let mut log = String::new();
    stderr.read_to_string(&mut log).unwrap();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains(" drained finished="), "{log}");
    assert!(log.contains("reason=\"replica-closed\""), "{log}");
}

#[test]
fn what_the_log_is_asked_for_is_right_or_refused() {
    let (_folder, file) = configuration(443);
    let check = |asked: &str| {
        let mut command = dtr_lb(&["check", "--config", &file]);
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

/// A balancer before a replica that sends back what it gets.
struct Echo {
    program: Running,
    address: String,
    admin: String,
    _folder: TempDir,
}

impl Echo {
    /// With this standard error. Where it listens, the system tells.
    fn start(stderr: Stdio) -> Echo {
        let replica = TcpListener::bind("127.0.0.1:0").unwrap();
        let (folder, file) = configuration(replica.local_addr().unwrap().port());
        thread::spawn(move || {
            for mut stream in replica.incoming().map_while(Result::ok) {
                let mut bytes = [0; 5];
                // A client that left needs no echo.
                let _ = stream.read_exact(&mut bytes);
                let _ = stream.write_all(&bytes);
            }
        });
        let mut command = dtr_lb(&["run", "--config", &file]);
        let program = Running::silent(command.stderr(stderr));
        let listens = |ip: &str| {
            let ip: IpAddr = ip.parse().unwrap();
            eventually("a listener", || {
                let all = program.listeners();
                all.into_iter().find(|address| address.ip() == ip)
            })
        };
        Echo {
            address: listens(ADDRESS).to_string(),
            admin: listens(ADMIN).to_string(),
            program,
            _folder: folder,
        }
    }

    /// One whole connection.
    fn answers(&self) {
        let mut client = connect(&self.address);
        client.write_all(b"hello").unwrap();
        let mut echo = String::new();
        client.read_to_string(&mut echo).unwrap();
        assert_eq!(echo, "hello");
    }

    /// Waits until more log lines than this were dropped; how many.
    fn dropped_above(&self, why: &str, limit: u64) -> u64 {
        eventually(&format!("dropped lines ({why})"), || {
            let metrics = ask(&self.admin, "GET /metrics", "");
            let name = "dtr_lb_host_log_lines_dropped_total ";
            let dropped = metrics.lines().find_map(|line| line.strip_prefix(name));
            let dropped: u64 = dropped.unwrap().parse().unwrap();
            (dropped > limit).then_some(dropped)
        })
    }
}

/// A configuration without a filter, so that there is none to compile.
fn configuration(replica: u16) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chain.json").display().to_string();
    let config = format!(
        r#"{{ "listeners": [{{ "bind": "{ADDRESS}:0", "cluster": "echo" }}],
              "clusters": [{{ "name": "echo", "endpoints": ["127.0.0.1:{replica}"] }}],
              "admin": {{ "bind": "{ADMIN}:0" }} }}"#
    );
    fs::write(&file, config).unwrap();
    (folder, file)
}

const ADDRESS: &str = "127.0.0.1";
const ADMIN: &str = "127.0.0.2";

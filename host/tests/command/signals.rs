//! What `dtr-lb run` does at a signal.

use std::io::Write;
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::balancer::{Balancer, Config, echoing, is_greeted};
use crate::running::eventually;
use crate::{ask, dtr_lb};

#[test]
fn every_ending_signal_drains() {
    let endings = [
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "ctrl-C"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::USR1, "SIGUSR1"),
    ];
    for (signal, name) in endings {
        let (idle, _client) = start(json!({ "drain_timeout": "1h" }));
        idle.program.signal(signal);
        idle.program
            .until(&format!("{name}: no more connections are accepted"));
        // One second signal of each kind is enough.
        idle.program.signal(signal);
        idle.program
            .until(&format!("{name}: the open connections are cut"));
        let line = idle.program.until("access");
        assert!(line.contains("drained"), "{name}: {line}");
        assert_eq!(idle.program.ends(), Some(0), "{name}");
    }
}

#[test]
fn sigusr2_changes_nothing_where_nobody_can_take_over() {
    let (idle, client) = start(json!({ "drain_timeout": "1h" }));
    idle.program.signal(Signal::USR2);
    idle.program
        .until("SIGUSR2: no process can take over: there is no socket for it");
    drop(idle.connect());
    idle.program.until("access");
    idle.program.signal(Signal::TERM);
    idle.program
        .until("SIGTERM: no more connections are accepted");
    // Not the second signal either.
    idle.program.signal(Signal::USR2);
    idle.program
        .until("SIGUSR2: no process can take over now; nothing is done");
    idle.program.signal(Signal::HUP);
    idle.program
        .until("SIGHUP: no configuration is read now; only log files are opened anew");
    drop(client);
    let end = idle.program.lines_until("drained finished=1");
    let cut = end.iter().find(|line| line.contains("are cut"));
    assert_eq!(cut, None);
    assert_eq!(idle.program.ends(), Some(0));
}

#[test]
fn a_drain_is_announced_before_the_listeners_close_and_a_second_signal_ends_the_wait() {
    let (idle, _client) = start(json!({ "drain_delay": "1h", "drain_timeout": "1h" }));
    idle.program.signal(Signal::TERM);
    idle.program
        .until("SIGTERM: /ready and /_ping say 503; connections are accepted for 1h more");
    let ping = ask(&idle.admin, "GET /_ping", "");
    assert!(ping.starts_with("HTTP/1.1 503 "), "{ping}");
    assert!(
        ping.ends_with(r#"{"Error":"draining","Healthy":false}"#),
        "{ping}"
    );
    let ready = ask(&idle.admin, "GET /ready", "");
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    drop(idle.connect());
    idle.program.until("attempts=1");

    idle.program.signal(Signal::QUIT);
    idle.program.until("SIGQUIT: the open connections are cut");
    let line = idle.program.until("access");
    assert!(line.contains("drained"), "{line}");
    assert_eq!(idle.program.ends(), Some(0));
}

#[test]
fn the_listeners_close_once_the_delay_is_over() {
    let (idle, client) = start(json!({ "drain_delay": "300ms", "drain_timeout": "1h" }));
    idle.program.signal(Signal::TERM);
    idle.program
        .until("connections are accepted for 300ms more");
    idle.program
        .until("SIGTERM: no more connections are accepted; the open ones have 1h to end");
    eventually("closed listeners", || {
        TcpStream::connect(&idle.address).is_err().then_some(())
    });
    drop(client);
    idle.program.until("drained");
    assert_eq!(idle.program.ends(), Some(0));
}

/// A balancer with these fields, and a connection that nobody ends.
fn start(fields: Value) -> (Balancer, TcpStream) {
    let config = Config::forwarding(echoing(), fields);
    let idle = Balancer::logging(&mut dtr_lb(&[]), config);
    let mut client = idle.connect();
    client.write_all(b"hello").unwrap();
    is_greeted(&mut client, "the one that stays");
    (idle, client)
}

//! What `dtr-lb run` does at a signal.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use rustix::process::Signal;

use crate::running::{Running, connect, eventually};
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
        let idle = Idle::start(r#""drain_timeout": "1h""#);
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
fn sigusr2_is_one_line_and_nothing_else() {
    let idle = Idle::start(r#""drain_timeout": "1h""#);
    idle.program.signal(Signal::USR2);
    idle.program
        .until("SIGUSR2 is reserved for upgrading the binary; nothing is done");
    drop(connect(&idle.address));
    idle.program.until("access");
    idle.program.signal(Signal::TERM);
    idle.program
        .until("SIGTERM: no more connections are accepted");
    // Not the second signal either.
    idle.program.signal(Signal::USR2);
    idle.program.until("SIGUSR2 is reserved");
    idle.program.signal(Signal::HUP);
    idle.program
        .until("SIGHUP: no configuration is read now; nothing is done");
    drop(idle.client);
    let end = idle.program.lines_until("drained finished=1");
    let cut = end.iter().find(|line| line.contains("are cut"));
    assert_eq!(cut, None);
    assert_eq!(idle.program.ends(), Some(0));
}

#[test]
fn a_drain_is_announced_before_the_listeners_close_and_a_second_signal_ends_the_wait() {
    let idle = Idle::start(r#""drain_delay": "1h", "drain_timeout": "1h""#);
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
    drop(connect(&idle.address));
    idle.program.until("attempts=1");

    idle.program.signal(Signal::QUIT);
    idle.program.until("SIGQUIT: the open connections are cut");
    let line = idle.program.until("access");
    assert!(line.contains("drained"), "{line}");
    assert_eq!(idle.program.ends(), Some(0));
}

#[test]
fn the_listeners_close_once_the_delay_is_over() {
    let idle = Idle::start(r#""drain_delay": "300ms", "drain_timeout": "1h""#);
    idle.program.signal(Signal::TERM);
    idle.program
        .until("connections are accepted for 300ms more");
    idle.program
        .until("SIGTERM: no more connections are accepted; the open ones have 1h to end");
    eventually("closed listeners", || {
        TcpStream::connect(&idle.address).is_err().then_some(())
    });
    drop(idle.client);
    idle.program.until("drained");
    assert_eq!(idle.program.ends(), Some(0));
}

/// A balancer with one connection that nobody ends.
struct Idle {
    program: Running,
    address: String,
    admin: String,
    client: TcpStream,
}

impl Idle {
    /// With these fields in the configuration. No filter: there is none to compile.
    fn start(fields: &str) -> Idle {
        let port = echoing();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lb.json");
        let config = format!(
            r#"{{ "listeners": [{{ "bind": "127.0.0.1:0", "cluster": "echo" }}], {fields},
                  "clusters": [{{ "name": "echo", "endpoints": ["127.0.0.1:{port}"] }}],
                  "admin": {{ "bind": "127.0.0.1:0" }} }}"#
        );
        std::fs::write(&file, config).unwrap();
        let program = Running::logging(&mut dtr_lb(&["run", "--config", file.to_str().unwrap()]));
        let listening = program.until(" to echo");
        let (_, listening) = listening.rsplit_once("forwarding ").unwrap();
        let (address, _) = listening.split_once(' ').unwrap();
        let serving = program.until("metrics on http://");
        let (_, admin) = serving.rsplit_once("http://").unwrap();
        let mut client = connect(address);
        client.write_all(b"hello").unwrap();
        let mut echo = [0; 5];
        client.read_exact(&mut echo).unwrap();
        Idle {
            address: address.to_owned(),
            admin: admin.to_owned(),
            program,
            client,
        }
    }
}

/// A replica that sends back what it gets: its port.
fn echoing() -> u16 {
    let replica = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = replica.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in replica.incoming().map_while(Result::ok) {
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    port
}

//! `dtr-lb run`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use crate::balancer::{Balancer, Config, greeting, is_greeted};
use crate::running::{LIMIT, Running, accepted, connect};
use crate::{dtr_lb, output, text};

#[test]
fn a_port_in_use_exits_with_1_and_is_named_once_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listen = format!("{address}=443");
    let flags = [
        "run",
        "--fqdn",
        "dtr.example.com",
        "--replica",
        "127.0.0.1",
        "--listen",
        &listen,
    ];
    let output = output(&flags);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains(&format!("can't listen on {address}: ")),
        "{stderr}"
    );
    assert!(stderr.contains("choose a free address"), "{stderr}");
    let once = stderr.matches("in use").count() == 1;
    assert!(once, "the cause is there more than once: {stderr}");
}

#[test]
fn a_hang_up_cuts_nothing_and_a_second_sigterm_logs_what_it_cuts() {
    let replica = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = replica.local_addr().unwrap().port();
    let config = Config::balancing(port, json!({ "health": { "preset": "tcp" } }));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), config);
    let mut client = balancer.connect();
    client.write_all(b"hello").unwrap();
    // Probes are connections as well; the client's is the one that says hello.
    let is_the_clients = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut first = [0; 5];
        stream.read_exact(&mut first).is_ok() && first == *b"hello"
    };
    let accepted = accepted(replica);
    let _connection = loop {
        let mut stream = accepted.recv_timeout(LIMIT).unwrap();
        if is_the_clients(&mut stream) {
            break stream;
        }
    };

    let program = &balancer.program;
    program.signal(Signal::HUP);
    program.until("SIGHUP: the configuration was read again");
    balancer.config().write("{");
    program.signal(Signal::HUP);
    program.until("the balancer goes on as before");
    program.signal(Signal::TERM);
    program.until("SIGTERM: no more connections are accepted");
    program.signal(Signal::TERM);
    program.until("SIGTERM: the open connections are cut");
    let line = program.until("access");
    assert!(line.contains("up=5") && line.contains("drained"), "{line}");
    assert_eq!(balancer.program.ends(), Some(0));
}

#[test]
fn clients_beyond_the_limit_of_open_files_wait_and_no_replica_is_blamed() {
    let mut program = Command::new("sh");
    program.args(["-c", r#"ulimit -n 200 && exec "$0" "$@""#]);
    program.arg(env!("CARGO_BIN_EXE_dtr-lb"));
    let program = Running::logging(program.args(before(greeting())));
    let listening = program.until("balancing port");
    let (_, address) = listening.rsplit_once(' ').unwrap();

    let clients: Vec<TcpStream> = (0..300).map(|_| connect(address)).collect();
    // Each that leaves makes room for one that waits. All are read at once: nobody
    // says in which order they are accepted.
    let clients = clients.into_iter().enumerate().map(|(index, mut client)| {
        std::thread::spawn(move || is_greeted(&mut client, &format!("client {index}")))
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        client.join().unwrap();
    }
}

/// How to balance before a replica on this port.
fn before(port: u16) -> Vec<String> {
    let listen = format!("127.0.0.1:0={port}");
    let arguments = [
        "run",
        "--replica",
        "127.0.0.1",
        "--fqdn",
        "dtr.example.com",
        "--health-preset",
        "tcp",
        "--listen",
        &listen,
    ];
    arguments.map(str::to_owned).to_vec()
}

#[test]
fn warnings_are_logged_at_the_start_and_after_each_reload_and_errors_in_one_line() {
    let config = Config::forwarding(greeting(), json!({ "idle_timeout": "1m" }));
    let program =
        Running::logging(dtr_lb(&["run", "--config", config.path()]).stdin(Stdio::null()));
    let warning = r#"idle_timeout is "1m"; "#;
    let line = program.until(warning);
    assert!(line.contains(" WARN "), "{line}");
    program.until("metrics on http://");

    program.signal(Signal::HUP);
    program.until("SIGHUP: the configuration was read again");
    program.until(warning);

    config.write(r#"{ "fqdn": "a b", "replicas": 5 }"#);
    program.signal(Signal::HUP);
    let line = program.until("SIGHUP: ");
    for part in [
        "SIGHUP: 2 errors: (1) ",
        r#": fqdn is "a b"; "#,
        "; (2) ",
        ": replicas is 5; ",
        "; the balancer goes on as before",
    ] {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
}

#[test]
fn a_configuration_from_standard_input_is_run_and_not_read_again() {
    let config = Config::forwarding(greeting(), json!({}));
    let input = File::open(config.path()).unwrap();
    let program = Running::logging(dtr_lb(&["run", "-c", "-"]).stdin(input));
    program.until("metrics on http://");
    program.signal(Signal::HUP);
    let line = program.until("SIGHUP: ");
    let expected = "SIGHUP: a configuration from standard input can't be read again; give a file \
                    to reload it; the balancer goes on as before";
    assert!(line.contains(expected), "{line}");
    let mut listeners = program.listeners().into_iter();
    let clients: IpAddr = "127.0.0.1".parse().unwrap();
    let address = listeners.find(|address| address.ip() == clients).unwrap();
    is_greeted(&mut connect(&address.to_string()), "after it");
}

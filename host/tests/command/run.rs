//! `dtr-lb run`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use rustix::process::Signal;

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
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lb.json");
    let config = format!(
        r#"{{ "fqdn": "dtr.example.com", "health": {{ "preset": "tcp" }},
              "replicas": [{{ "address": "127.0.0.1", "ports": {{ "443": {port} }} }}],
              "listeners": [{{ "bind": "127.0.0.1:0", "port": 443 }}] }}"#
    );
    std::fs::write(&file, config).unwrap();
    let program = Running::logging(&mut dtr_lb(&["run", "--config", file.to_str().unwrap()]));
    let listening = program.until("balancing port 443 on ");
    let (_, address) = listening.rsplit_once(' ').unwrap();
    let mut client = connect(address);
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

    program.signal(Signal::HUP);
    program.until("SIGHUP: the configuration was read again");
    std::fs::write(&file, "{").unwrap();
    program.signal(Signal::HUP);
    program.until("the balancer goes on as before");
    program.signal(Signal::TERM);
    program.until("SIGTERM: no more connections are accepted");
    program.signal(Signal::TERM);
    program.until("SIGTERM: the open connections are cut");
    let line = program.until("access");
    assert!(line.contains("up=5") && line.contains("drained"), "{line}");
    assert_eq!(program.ends(), Some(0));
}

#[test]
fn clients_beyond_the_limit_of_open_files_wait_and_no_replica_is_blamed() {
    let mut program = Command::new("sh");
    program.args(["-c", r#"ulimit -n 200 && exec "$0" "$@""#]);
    program.arg(env!("CARGO_BIN_EXE_dtr-lb"));
    let program = Running::logging(program.args(before(greeter())));
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

/// A replica that greets each client: its port.
pub(crate) fn greeter() -> u16 {
    let replica = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = replica.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in replica.incoming().map_while(Result::ok) {
            // Who left before the greeting needs none.
            let _ = stream.write_all(b"hello");
        }
    });
    port
}

/// How to balance before a replica on this port.
pub(crate) fn before(port: u16) -> Vec<String> {
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

pub(crate) fn is_greeted(client: &mut TcpStream, who: &str) {
    let mut greeting = [0; 5];
    let read = client.read_exact(&mut greeting);
    read.unwrap_or_else(|error| panic!("{who}: {error}"));
    assert_eq!(&greeting, b"hello", "{who}");
}

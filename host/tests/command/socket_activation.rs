//! `dtr-lb run` on sockets that a service manager has bound.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use crate::balancer::{Config, greeting, is_greeted};
use crate::running::{Running, connect};
use crate::{ask, dtr_lb, output_of, text};

#[test]
fn passed_sockets_are_those_of_the_listeners_on_their_addresses() {
    let (traffic, admin) = (bound(), bound());
    let [address, admin_address] = [&traffic, &admin].map(address);
    let config = Config::forwarding(greeting(), json!({}));
    config.forwards(json!({
        "admin": { "bind": admin_address },
        "listeners": [
            { "bind": address, "cluster": "web" },
            { "bind": format!("{OTHER}:0"), "cluster": "web" },
        ],
    }));
    // A client of before the start.
    let mut early = connect(&address);
    let program = Running::logging(&mut activated(config.path(), traffic, admin));
    let line = program.until("metrics on http");
    assert!(line.contains(&admin_address), "{line}");
    is_greeted(&mut early, "who came before the start");
    drop(early);
    is_greeted(&mut connect(&address), "who comes later");
    let ready = ask(&admin_address, "GET /ready", "");
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    let listeners = program.listeners();
    let count = |address: &str| {
        let address = address.parse().unwrap();
        listeners.iter().filter(|one| **one == address).count()
    };
    assert_eq!(count(&address), 1, "all workers share it: {listeners:?}");
    let own = listeners.iter().any(|one| one.ip() == OTHER);
    assert!(own, "what was not passed is bound: {listeners:?}");

    program.signal(Signal::HUP);
    program.until("the configuration was read again");
    is_greeted(&mut connect(&address), "who comes after a reload");
    program.signal(Signal::TERM);
    assert_eq!(program.ends(), Some(0));
}

#[test]
fn a_socket_on_an_address_where_nothing_listens_is_named() {
    let (traffic, stray) = (bound(), bound());
    let config = Config::forwarding(greeting(), json!({}));
    let listeners = json!([{ "bind": address(&traffic), "cluster": "web" }]);
    config.forwards(json!({ "listeners": listeners }));
    let named = address(&stray);
    let output = output_of(&mut activated(config.path(), traffic, stray));
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    let expected = format!(
        "error: the service manager passed a socket on {named}, which is the \"bind\" of no \
         listener; give one this address, or take ListenStream={named} out of the socket unit\n"
    );
    assert!(stderr.ends_with(&expected), "{stderr}");
}

fn bound() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().unwrap().to_string()
}

/// `dtr-lb run` with two sockets, as systemd starts it: they are its files 3 and 4.
fn activated(config: &str, one: TcpListener, other: TcpListener) -> Command {
    let program = dtr_lb(&[]);
    let mut command = Command::new("sh");
    let script = "exec 3<&0 4<&1 0</dev/null 1>/dev/null; export LISTEN_PID=$$; exec \"$@\"";
    command
        .args(["-c", script, "sh"])
        .arg(program.get_program());
    command.args(["run", "--config", config]);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("LISTEN_FDS", "2");
    command.stdin(Stdio::from(OwnedFd::from(one)));
    command.stdout(Stdio::from(OwnedFd::from(other)));
    command
}

/// An address that is not passed.
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 87, 1);

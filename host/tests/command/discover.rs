//! Names that stand for many replicas.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::balancer::{Balancer, Config};
use crate::name_server::NameServer;
use crate::registry::run;
use crate::running::{Running, connect, eventually};
use crate::{ask, dtr_lb, output, text};

/// Two that echo, on one port of two addresses: the port.
fn two_on_one_port() -> u16 {
    let listen = |address: String| TcpListener::bind(address);
    let (first, second) = eventually("a port that both addresses have free", || {
        let first = listen("127.0.0.2:0".to_owned()).unwrap();
        let port = first.local_addr().unwrap().port();
        Some((first, listen(format!("127.0.0.3:{port}")).ok()?))
    });
    let port = first.local_addr().unwrap().port();
    for listener in [first, second] {
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
    }
    port
}

/// A balancer's fields: one entry, whose replicas this server knows.
fn discovering(server: &NameServer, name: &str, ports: Value) -> Value {
    json!({
        "replicas": [{ "name": "tasks", "address": name, "discover": "dns", "ports": ports }],
        "health": { "target": "tcp:443" },
        "nameservers": [server.address],
        "dns_refresh": "20ms",
    })
}

fn replicas(balancer: &Balancer) -> Vec<String> {
    let answer = ask(&balancer.admin, "GET /status", "");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let status: Value = serde_json::from_str(body).unwrap();
    let replicas = status["replicas"].as_array().unwrap().iter();
    let names = replicas.map(|one| one["name"].as_str().unwrap().to_owned());
    names.collect()
}

#[test]
fn replicas_come_and_go_with_the_addresses_of_a_name() {
    let server = NameServer::start();
    let port = two_on_one_port();
    server.addresses("tasks.dtr", &["127.0.0.2"]);
    let fields = discovering(&server, "tasks.dtr", json!({ "443": port }));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), Config::balancing(port, fields));
    assert_eq!(replicas(&balancer), ["tasks-127.0.0.2"]);
    let mut open = connect(&balancer.address);
    let mut echo = |letter: u8| {
        open.write_all(&[letter]).unwrap();
        let mut back = [0];
        open.read_exact(&mut back).unwrap();
        assert_eq!(back, [letter]);
    };
    echo(b'a');

    server.addresses("tasks.dtr", &["127.0.0.2", "127.0.0.3"]);
    let line = balancer.program.until("DNS has changed");
    let expected = "DNS has changed: adds tasks-127.0.0.3 (127.0.0.3); open connections go on";
    assert!(line.ends_with(expected), "{line}");
    balancer.program.until("metrics on http");
    assert_eq!(replicas(&balancer), ["tasks-127.0.0.2", "tasks-127.0.0.3"]);

    server.addresses("tasks.dtr", &["127.0.0.3"]);
    let line = balancer.program.until("DNS has changed");
    assert!(line.contains(": removes tasks-127.0.0.2; "), "{line}");
    balancer.program.until("metrics on http");
    assert_eq!(replicas(&balancer), ["tasks-127.0.0.3"]);
    echo(b'b');

    server.addresses("tasks.dtr", &[]);
    let line = balancer.program.until(" WARN ");
    let expected = "tasks.dtr: no address in DNS: there is no such name; its last replicas stay";
    assert!(line.ends_with(expected), "{line}");
    assert_eq!(replicas(&balancer), ["tasks-127.0.0.3"]);
    server.addresses("tasks.dtr", &["127.0.0.3"]);
    balancer.program.until("tasks.dtr: DNS has addresses again");
}

#[test]
fn a_name_without_an_answer_is_waited_for_while_the_balancer_runs() {
    let server = NameServer::start();
    let port = two_on_one_port();
    let fields = discovering(&server, "tasks.dtr", json!({ "443": port }));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), Config::balancing(port, fields));
    assert_eq!(replicas(&balancer), ["tasks"]);
    server.addresses("tasks.dtr", &["127.0.0.3"]);
    let line = balancer.program.until("DNS has changed");
    let expected = ": adds tasks-127.0.0.3 (127.0.0.3); removes tasks; open connections go on";
    assert!(line.ends_with(expected), "{line}");
    let mut client = connect(&balancer.address);
    client.write_all(b"a").unwrap();
    client.read_exact(&mut [0]).unwrap();
}

#[test]
fn an_address_of_the_balancer_itself_is_left_out() {
    let server = NameServer::start();
    let port = two_on_one_port();
    server.addresses("tasks.dtr", &["127.0.0.2", "127.0.0.9"]);
    let mut fields = discovering(&server, "tasks.dtr", json!({ "443": port }));
    let own = format!("127.0.0.9:{port}");
    let listeners = ["127.0.0.1:0", &own].map(|bind| json!({ "bind": bind, "port": 443 }));
    fields["listeners"] = json!(listeners);
    let config = Config::balancing(port, fields.clone());
    let checked = output(&["check", "--config", config.path()]);
    let expected = format!("DNS leads to {own}, where the balancer itself listens ({own}): ");
    let warning = text(&checked.stderr);
    assert!(warning.contains(&expected), "{warning}");
    assert_eq!(checked.status.code(), Some(0));

    let balancer = Balancer::logging(&mut dtr_lb(&[]), config);
    let line = balancer.logged(" WARN ");
    assert!(line.contains(&format!("tasks.dtr: {expected}")), "{line}");
    assert_eq!(replicas(&balancer), ["tasks-127.0.0.2"]);

    server.addresses("tasks.dtr", &["127.0.0.3", "127.0.0.9"]);
    let mut lines = balancer.program.lines_until("DNS has changed");
    let line = lines.last().unwrap();
    let expected = ": adds tasks-127.0.0.3 (127.0.0.3); removes tasks-127.0.0.2; ";
    assert!(line.contains(expected), "{line}");

    fields["policy"] = json!("round-robin");
    balancer.config().balances(fields);
    balancer.program.signal(Signal::HUP);
    lines.extend(balancer.program.lines_until("SIGHUP: "));
    let line = lines.last().unwrap();
    assert!(line.contains("which changes policy; "), "{line}");
    let again = lines.iter().find(|line| line.contains("itself"));
    assert_eq!(again, None, "it has been said");
}

#[test]
fn an_answer_that_can_not_be_used_is_in_the_log_once() {
    let server = NameServer::start();
    let port = two_on_one_port();
    server.services("_https._tcp.dtr", &[(1, 1, port, "a.dtr.")]);
    server.addresses("a.dtr", &["127.0.0.2"]);
    let fields = discovering(&server, "_https._tcp.dtr", json!({}));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), Config::balancing(port, fields));
    // Of a port that any is, only the host knows where it listens.
    let own = balancer.address.parse::<SocketAddr>().unwrap();
    server.addresses("b.dtr", &["127.0.0.1"]);
    let refused = [(1, 1, port, "a.dtr."), (1, 1, own.port(), "b.dtr.")];
    server.services("_https._tcp.dtr", &refused);
    let line = balancer.program.until("the balancer goes on as before");
    assert!(line.contains("where this host itself listens"), "{line}");
    server.is_asked_again();
    server.addresses("c.dtr", &["127.0.0.3"]);
    server.services("_https._tcp.dtr", &[(1, 1, port, "c.dtr.")]);
    let lines = balancer.program.lines_until("DNS has changed: adds");
    let mut lines = lines.iter();
    let again = lines.find(|line| line.contains("goes on as before"));
    assert_eq!(again, None, "it has been said");
}

#[test]
fn a_reload_takes_names_and_name_servers_over() {
    let (first, second) = (NameServer::start(), NameServer::start());
    let port = two_on_one_port();
    first.addresses("tasks.dtr", &["127.0.0.2"]);
    second.addresses("other.dtr", &["127.0.0.3"]);
    let fields = discovering(&first, "tasks.dtr", json!({ "443": port }));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), Config::balancing(port, fields));
    let now = discovering(&second, "other.dtr", json!({ "443": port }));
    balancer.config().balances(now);
    balancer.program.signal(Signal::HUP);
    let line = balancer.program.until("SIGHUP: ");
    let expected = "which adds tasks-127.0.0.3 (127.0.0.3); removes tasks-127.0.0.2; changes \
                    nameservers; open connections go on";
    assert!(line.ends_with(expected), "{line}");
}

#[test]
fn a_reload_that_is_refused_leaves_the_names_that_are_in_use() {
    let server = NameServer::start();
    let port = two_on_one_port();
    server.addresses("tasks.dtr", &["127.0.0.2"]);
    server.addresses("other.dtr", &["127.0.0.3"]);
    let fields = discovering(&server, "tasks.dtr", json!({ "443": port }));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), Config::balancing(port, fields));
    server.addresses("tasks.dtr", &[]);
    balancer.program.until("its last replicas stay");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut refused = discovering(&server, "other.dtr", json!({ "443": port }));
    refused["listeners"] = json!([{ "bind": taken.local_addr().unwrap(), "port": 443 }]);
    balancer.config().balances(refused);
    balancer.program.signal(Signal::HUP);
    balancer.program.until("the balancer goes on as before");
    server.is_asked_again();
    assert_eq!(replicas(&balancer), ["tasks-127.0.0.2"]);

    server.addresses("tasks.dtr", &["127.0.0.2", "127.0.0.3"]);
    let line = balancer.program.until("DNS has changed");
    let expected = "DNS has changed: adds tasks-127.0.0.3 (127.0.0.3); open connections go on";
    assert!(line.ends_with(expected), "{line}");
    let successful = balancer.metric("dtr_lb_host_config_last_reload_successful");
    assert_eq!(
        successful,
        Some(0),
        "the file can't be used, whatever DNS says"
    );
}

#[test]
fn nobody_takes_over_who_knows_fewer_replicas() {
    let server = NameServer::start();
    let port = two_on_one_port();
    let folder = tempfile::tempdir().unwrap();
    server.addresses("tasks.dtr", &["127.0.0.2"]);
    let mut fields = discovering(&server, "tasks.dtr", json!({ "443": port }));
    fields["takeover_socket"] = json!(folder.path().join("takeover.sock"));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), Config::balancing(port, fields));
    server.addresses("tasks.dtr", &[]);
    balancer.program.until("its last replicas stay");

    let next = ["run", "--takeover", "--config", balancer.config().path()];
    let refused = || {
        let refused = output(&next);
        assert_eq!(refused.status.code(), Some(1));
        text(&refused.stderr).to_owned()
    };
    let begin = "error: tasks.dtr: no replica is found by it now (";
    let error = refused();
    let expected = format!("{begin}there is no such name); the balancer that runs goes on");
    assert!(error.contains(&expected), "{error}");
    server.refuses("tasks.dtr");
    let error = refused();
    assert!(error.contains(begin), "{error}");
    assert!(error.contains("Query Refused); "), "{error}");
    assert_eq!(replicas(&balancer), ["tasks-127.0.0.2"]);

    server.addresses("tasks.dtr", &["127.0.0.2"]);
    let _next = Running::logging(&mut dtr_lb(&next));
    balancer.program.until("another process accepts now");
    assert_eq!(replicas(&balancer), ["tasks-127.0.0.2"]);
}

#[test]
fn records_of_a_service_give_ports_too() {
    let server = NameServer::start();
    let port = two_on_one_port();
    let services = [(1, 5, port, "a.dtr."), (2, 1, port, "b.dtr.")];
    server.services("_https._tcp.dtr", &services);
    server.addresses("a.dtr", &["127.0.0.2"]);
    server.addresses("b.dtr", &["127.0.0.3"]);
    let fields = discovering(&server, "_https._tcp.dtr", json!({}));
    let balancer = Balancer::logging(&mut dtr_lb(&[]), Config::balancing(port, fields));
    let expected = [
        format!("tasks-127.0.0.2-{port}"),
        format!("tasks-127.0.0.3-{port}"),
    ];
    assert_eq!(replicas(&balancer), expected);
    let mut client = connect(&balancer.address);
    client.write_all(b"a").unwrap();
    client.read_exact(&mut [0]).unwrap();
    // A pod that goes away has no address any more, and then no record.
    server.addresses("b.dtr", &[]);
    let line = balancer.program.until("DNS has changed");
    let expected = format!(": removes tasks-127.0.0.3-{port}; ");
    assert!(line.contains(&expected), "{line}");
}

#[test]
fn a_target_that_is_not_answered_for_keeps_its_replicas_and_hides_no_other() {
    let server = NameServer::start();
    let port = two_on_one_port();
    let services = [(1, 1, port, "a.dtr."), (1, 1, port, "b.dtr.")];
    server.services("_https._tcp.dtr", &services);
    server.addresses("a.dtr", &["127.0.0.2"]);
    server.refuses("b.dtr");
    let fields = discovering(&server, "_https._tcp.dtr", json!({}));
    let config = Config::balancing(port, fields);
    let checked = output(&["check", "--config", config.path()]);
    let warning = text(&checked.stderr);
    for expected in [
        "not all replicas are found by it now (b.dtr.: ",
        "Refused); ",
    ] {
        assert!(warning.contains(expected), "{warning}");
    }

    let balancer = Balancer::logging(&mut dtr_lb(&[]), config);
    let line = balancer.logged(" WARN ");
    for expected in ["_https._tcp.dtr: no address in DNS: b.dtr.: ", FAILS] {
        assert!(line.contains(expected), "{line}");
    }
    let name = |ip: &str| format!("tasks-{ip}-{port}");
    assert_eq!(replicas(&balancer), [name("127.0.0.2")]);

    server.addresses("b.dtr", &["127.0.0.3"]);
    let line = balancer.program.until("DNS has changed");
    assert!(line.contains(": adds tasks-127.0.0.3-"), "{line}");
    server.refuses("b.dtr");
    balancer.program.until(FAILS);
    server.addresses("a.dtr", &["127.0.0.4"]);
    balancer.program.until("DNS has changed");
    balancer.program.until("metrics on http");
    let expected = ["127.0.0.3", "127.0.0.4"].map(name);
    assert_eq!(replicas(&balancer), expected);
}

const FAILS: &str = "Query Refused; the others count, and its own last replicas stay";

#[test]
fn a_check_shows_the_replicas_and_names_what_has_none() {
    let server = NameServer::start();
    server.addresses("tasks.dtr", &["127.0.0.2", "127.0.0.3"]);
    let file = |name| Config::balancing(1, discovering(&server, name, json!({})));
    let config = file("tasks.dtr");
    let checked = output(&["check", "--config", config.path()]);
    let expected = "2 replicas: tasks-127.0.0.2, tasks-127.0.0.3";
    let printed = text(&checked.stdout);
    assert!(printed.contains(expected), "{printed}");
    assert_eq!(text(&checked.stderr), "");

    let config = file("missing.dtr");
    let checked = output(&["check", "--strict", "--config", config.path()]);
    let expected = r#"replicas[0].address is "missing.dtr"; no replica is found by it now (there is no such name), and a balancer that starts now has none until one is; "#;
    let printed = text(&checked.stderr);
    assert!(printed.contains(expected), "{printed}");
    assert_eq!(checked.status.code(), Some(2));
}

#[test]
fn a_doctor_blames_dns_alone_for_what_it_does_not_find() {
    let server = NameServer::start();
    let port = two_on_one_port();
    server.addresses("tasks.dtr", &["127.0.0.2"]);
    let mut fields = discovering(&server, "tasks.dtr", json!({ "443": port }));
    let fixed = json!({ "name": "fixed", "address": "127.0.0.3", "ports": { "443": port } });
    fields["replicas"].as_array_mut().unwrap().push(fixed);
    let config = Config::balancing(port, fields.clone());
    let balancer = Balancer::logging(&mut dtr_lb(&[]), config);
    assert_eq!(replicas(&balancer), ["tasks-127.0.0.2", "fixed"]);

    server.refuses("tasks.dtr");
    fields["admin"] = json!({ "bind": balancer.admin });
    let written = |fields: &Value| {
        let mut file = fields.clone();
        file["fqdn"] = json!("dtr.example.com");
        file["listeners"] = json!([{ "bind": balancer.address, "port": 443 }]);
        balancer.config().write(&file.to_string());
        run("doctor", balancer.config().path(), &[])
    };
    let shown = written(&fields);
    assert_eq!(shown.code, Some(1), "{}{}", shown.stdout, shown.stderr);
    let begin = r#"replicas[0].address is "tasks.dtr"; no replica is found by it now ("#;
    shown.says(begin);
    shown.says("not well: 1 error");
    shown.says("looked at: the configuration, 1 replica, the balancer at ");
    for other in [
        "does not know replicas",
        "has replicas that",
        "its name has no",
    ] {
        assert!(!shown.stdout.contains(other), "{}", shown.stdout);
    }

    fields["replicas"].as_array_mut().unwrap().pop();
    let shown = written(&fields);
    assert_eq!(shown.code, Some(1), "{}{}", shown.stdout, shown.stderr);
    shown.says(begin);
    shown.says("not looked at: replicas: no name leads to one");
}

#[test]
fn what_envoy_watches_follows_dns() {
    let server = NameServer::start();
    server.addresses("tasks.dtr", &["127.0.0.2"]);
    let config = Config::balancing(1, discovering(&server, "tasks.dtr", json!({})));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("watched");
    let out = out.to_str().unwrap();
    let watching = Running::logging(
        dtr_lb(&["envoy", "--dynamic", "--watch", "--wait", "0s"])
            .args(["--envoy-admin", "127.0.0.1:0", "--out", out])
            .args(["--config", config.path()])
            .stdout(Stdio::null()),
    );
    eventually("the files", || {
        std::fs::read(format!("{out}/envoy.yaml")).ok()
    });
    server.addresses("tasks.dtr", &["127.0.0.2", "127.0.0.3"]);
    let line = watching.until("adds");
    let expected = "lb.json: adds tasks-127.0.0.3 (127.0.0.3); written; ";
    assert!(line.contains(expected), "{line}");
    watching.signal(Signal::TERM);
    assert_eq!(watching.ends(), Some(0));

    let refused = output(&["envoy", "--out", out, "--config", config.path()]);
    assert_eq!(refused.status.code(), Some(2));
    let error = text(&refused.stderr);
    assert!(error.contains("use --dynamic --watch"), "{error}");
}

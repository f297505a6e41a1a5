//! `dtr-lb sessions`.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::operator::Stage;

#[test]
fn connections_are_listed_and_those_of_a_replica_ended() {
    let stage = Stage::new(json!({}));
    stage.row("r1", "healthy");
    stage.row("r2", "healthy");
    // Each goes to the only one that is left.
    stage.does(&["drain", "r2"]);
    let mut first = echoed(stage.balancer.connect());
    stage.does(&["ready", "r2"]);
    stage.does(&["drain", "r1"]);
    let second = echoed(stage.balancer.connect());

    let list: Value = serde_json::from_str(&stage.does(&["sessions", "--json"])).unwrap();
    assert_eq!(list["total"], 2, "{list}");
    let oldest = &list["sessions"][0];
    let expected = json!({
        "client": first.local_addr().unwrap(), "listener": stage.balancer.address,
        "service": null, "replica": "r1", "age_ms": oldest["age_ms"], "up": 5, "down": 5,
    });
    assert_eq!(oldest, &expected, "{list}");
    let shown = stage.does(&["sessions", "--replica", "r2"]);
    let me = second.local_addr().unwrap().to_string();
    assert!(
        shown.contains(&me) && shown.ends_with("\n1 connection\n"),
        "{shown}"
    );

    let killed = stage.does(&["sessions", "--kill", "r1"]);
    assert_eq!(killed, "r1: 1 connection was ended\n");
    let error = first.read(&mut [0; 1]).expect_err("it is reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let program = &stage.balancer.program;
    let lines = program.lines_until("replica \"r1\": open connections (1) are ended, by order");
    let order = lines.last().unwrap();
    assert!(order.contains(" client=127.0.0."), "who gave it: {order}");
    if !lines.iter().any(|line| line.contains("reason=\"killed\"")) {
        program.until("reason=\"killed\"");
    }
    let count = "dtr_lb_host_connections_closed_total{reason=\"killed\"}";
    assert_eq!(stage.balancer.metric(count), Some(1));
    echoed(second);

    let idle = stage.does(&["sessions", "--replica", "r1"]);
    assert_eq!(idle, "0 connections\n", "a replica that has none");
    for option in ["--replica", "--kill"] {
        let unknown = stage.fails(&["sessions", option, "r9"], 1);
        let expected = "error: there is no replica \"r9\"; known: r1, r2\n";
        assert_eq!(unknown, expected, "{option}");
    }
}

#[test]
fn the_end_of_connections_needs_the_token() {
    let admin = json!({ "bind": "127.0.0.2:0", "token": "a-long-secret" });
    let stage = Stage::new(json!({ "admin": admin }));
    let client = echoed(stage.balancer.connect());
    for replica in ["r1", "r2", "r9"] {
        let refused = stage.fails(&["sessions", "--kill", replica], 1);
        assert!(refused.contains("--token-file"), "{replica}: {refused}");
    }
    echoed(client);
}

/// The client, once five bytes have come back.
fn echoed(mut client: TcpStream) -> TcpStream {
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    client
}

//! One configuration out of services that differ.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::ConfigFile;
use crate::import::ImportOptions;
use crate::import::compose::compose;
use crate::import::found::{At, Found, Passive, Policy, Server, Service};
use crate::import::note::{Notes, Place};

pub(super) fn at<T>(line: usize, value: T) -> At<T> {
    let place = place(line);
    At { value, place }
}

pub(super) fn place(line: usize) -> Place {
    let file = "old".into();
    Place { file, line }
}

pub(super) fn server(name: &str, host: &str, port: u16) -> Server {
    Server {
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        place: place(port.into()),
        host: host.to_owned(),
        port,
        weight: 1,
        backup: false,
        in_maintenance: false,
        max_connections: None,
    }
}

/// A service on a port, with two servers on that port.
pub(super) fn service(port: u16) -> Service {
    let line = usize::from(port);
    Service {
        binds: vec![at(line, SocketAddr::from(([0, 0, 0, 0], port)))],
        servers: vec![server("a", "10.0.0.1", port), server("b", "10.0.0.2", port)],
        ..Service::new(format!("dtr_{port}"), place(line))
    }
}

/// The configuration, which must be one that can be used, and the notes.
pub(super) fn composed(
    services: Vec<Service>,
    options: &ImportOptions,
) -> Result<(Value, String), String> {
    let found = Found {
        services,
        fqdn: Some(at(9, "dtr.example.com".to_owned())),
        ..Found::default()
    };
    let mut notes = Notes::default();
    let file = compose(found, "old", options, &mut notes).map_err(|error| error.to_string())?;
    let config = serde_json::to_string(&file).unwrap();
    ConfigFile::parse(&config, "result").unwrap();
    let notes: Vec<String> = notes.sorted().iter().map(ToString::to_string).collect();
    Ok((serde_json::from_str(&config).unwrap(), notes.join("\n")))
}

pub(super) fn all() -> ImportOptions {
    ImportOptions::default()
}

#[test]
fn servers_of_one_machine_are_one_replica() {
    let mut second = service(80);
    second.servers.reverse();
    let (config, _) = composed(vec![service(443), second], &all()).unwrap();
    let expected = json!([
        { "name": "a", "address": "10.0.0.1" },
        { "name": "b", "address": "10.0.0.2" },
    ]);
    assert_eq!(config["replicas"], expected, "in the first service's order");
}

#[test]
fn two_servers_on_one_machine_are_two_replicas() {
    let mut one = service(443);
    one.servers = vec![server("a", "10.0.0.1", 443), server("a", "10.0.0.1", 8443)];
    let (config, notes) = composed(vec![one], &all()).unwrap();
    let expected = json!([
        { "name": "a", "address": "10.0.0.1" },
        { "name": "a-2", "address": "10.0.0.1", "ports": { "443": 8443 } },
    ]);
    assert_eq!(config["replicas"], expected);
    assert!(
        notes.contains("the server \"a\" is called \"a-2\" now"),
        "{notes}"
    );
}

#[test]
fn names_are_made_usable() {
    let long = "x".repeat(80);
    let cases = [
        ("", "r1"),
        ("dtr 1/\u{e9}", "dtr-1--"),
        ("..", "r1"),
        (long.as_str(), &long[..56]),
    ];
    for (name, expected) in cases {
        let mut one = service(443);
        one.servers = vec![server(name, "10.0.0.1", 443)];
        let (config, _) = composed(vec![one], &all()).unwrap();
        assert_eq!(config["replicas"][0]["name"], expected, "{name}");
    }
}

#[test]
fn weights_keep_their_proportions() {
    let cases = [
        ([1, 1], [None, None]),
        ([100, 100], [None, None]),
        ([200, 100], [Some(2), None]),
        ([3, 2], [Some(3), Some(2)]),
        ([65_535, 1], [Some(1000), None]),
        ([u64::MAX, u64::MAX - 1], [Some(1000), Some(999)]),
        ([0, 5], [None, Some(5)]),
    ];
    for (weights, expected) in cases {
        let mut one = service(443);
        for (server, weight) in one.servers.iter_mut().zip(weights) {
            server.weight = weight;
        }
        let (config, _) = composed(vec![one], &all()).unwrap();
        let found = [0, 1].map(|at| config["replicas"][at].get("weight").and_then(Value::as_u64));
        assert_eq!(found, expected, "{weights:?}");
    }
}

#[test]
fn limits_of_one_replica_add_up_or_are_left_out() {
    let limited = |port, limit| {
        let mut one = service(port);
        one.servers.truncate(1);
        one.servers[0].max_connections = limit;
        one
    };
    let cases = [
        (
            [Some(10), Some(5)],
            Some(15),
            "the sum of its limits is taken",
        ),
        ([Some(10), None], None, "none is taken"),
        ([None, None], None, ""),
    ];
    for ([one, other], expected, note) in cases {
        let services = vec![limited(443, one), limited(80, other)];
        let (config, notes) = composed(services, &all()).unwrap();
        let found = config["replicas"][0]
            .get("max_connections")
            .and_then(Value::as_u64);
        assert_eq!(found, expected, "{one:?} and {other:?}");
        assert!(notes.contains(note), "{notes}");
    }
}

#[test]
fn services_of_other_machines_are_not_one_configuration() {
    let mut other = service(80);
    other.servers[1].host = "10.0.0.3".to_owned();
    let error = composed(vec![service(443), other.clone()], &all()).unwrap_err();
    assert!(
        error.contains("10.0.0.2 is no server of dtr_80 (0.0.0.0:80)"),
        "{error}"
    );
    assert!(error.contains("--only and one of dtr_443"), "{error}");
    let only = ImportOptions {
        only: vec!["80".to_owned()],
        ..all()
    };
    let (config, _) = composed(vec![service(443), other], &only).unwrap();
    assert_eq!(config["replicas"][1]["address"], "10.0.0.3");
    let none = Service {
        servers: Vec::new(),
        ..service(443)
    };
    let error = composed(vec![none], &all()).unwrap_err();
    assert!(error.contains("has no server that may serve"), "{error}");
}

#[test]
fn a_server_out_of_service_is_a_replica_in_maintenance() {
    let mut first = service(443);
    first.servers[1].in_maintenance = true;
    let (config, notes) = composed(vec![first.clone(), service(80)], &all()).unwrap();
    assert_eq!(config["replicas"][0].get("state"), None);
    assert_eq!(config["replicas"][1]["state"], "maintenance");
    let back = "take \"state\" out of the file to put it back, or use dtr-lb ready, which needs an \"admin\"";
    assert!(notes.contains(back), "{notes}");
    assert!(
        notes.contains("in maintenance for all or none; what old:443 says is taken"),
        "{notes}"
    );
    first.servers[0].in_maintenance = true;
    let error = composed(vec![first], &all()).unwrap_err();
    assert!(error.contains("has no server that may serve"), "{error}");
}

#[test]
fn one_port_of_the_service_leads_to_one_port_of_a_replica() {
    let mut one = service(443);
    one.servers = vec![server("a", "10.0.0.1", 8443), server("b", "10.0.0.2", 9443)];
    let mut other = service(444);
    other.servers = vec![server("a", "10.0.0.1", 443), server("b", "10.0.0.2", 443)];
    let error = composed(vec![one.clone(), other], &all()).unwrap_err();
    assert!(
        error.contains("both lead to port 443 of 10.0.0.1, but one to 8443"),
        "{error}"
    );
    let (config, _) = composed(vec![one], &all()).unwrap();
    assert_eq!(config["replicas"][1]["ports"], json!({ "443": 9443 }));
}

#[test]
fn what_all_listeners_share_is_taken_once_and_the_rest_is_noted() {
    let mut one = service(443);
    one.policy = Some(at(1, Policy::LeastConnections));
    one.idle_timeout = Some(at(2, Duration::from_secs(60)));
    one.passive = Some(at(
        3,
        Passive {
            fails: 5000,
            window: Duration::from_secs(1),
            hold: Duration::from_micros(1),
        },
    ));
    let mut other = service(80);
    other.policy = Some(at(11, Policy::SourceHash));
    other.idle_timeout = Some(at(12, Duration::from_secs(600)));
    other.connect_timeout = Some(at(13, Duration::from_secs(5)));
    let (config, notes) = composed(vec![one, other], &all()).unwrap();
    assert_eq!(config["policy"], "least-connections");
    assert_eq!(config["idle_timeout"], "10m");
    assert_eq!(config["connect_timeout"], "5s");
    assert_eq!(
        config["passive"],
        json!({ "fails": 1000, "window": "1s", "hold": "1ms" })
    );
    for expected in [
        "old:11: not taken over: there is one \"policy\" for all listeners, and that of old:1",
        "old:2: not taken over: there is one \"idle_timeout\" for all listeners, and the longest",
        "old:12: advice: an idle timeout of 10m ends slow pushes",
    ] {
        assert!(notes.contains(expected), "{expected}\n{notes}");
    }
}

#[test]
fn services_at_one_address_must_be_chosen_from() {
    let mut other = service(443);
    other.name = "ucp".to_owned();
    other.fqdn = Some(at(7, "ucp.example.com".to_owned()));
    let error = composed(vec![service(443), other.clone()], &all()).unwrap_err();
    assert!(error.contains("both listen on 0.0.0.0:443"), "{error}");
    assert!(error.contains("--only, one of dtr_443, ucp"), "{error}");
    for name in ["ucp", "ucp.example.com"] {
        let options = ImportOptions {
            only: vec![name.to_owned()],
            ..all()
        };
        assert!(
            composed(vec![service(443), other.clone()], &options).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn a_name_that_leads_elsewhere_is_not_that_of_what_is_imported() {
    let mut other = service(443);
    other.name = "ucp".to_owned();
    other.names = vec![
        "ucp.example.com".to_owned(),
        "*.apps.example.com".to_owned(),
    ];
    let mut own = service(443);
    own.names = vec![
        "*.example.com".to_owned(),
        "dtr.apps.example.com".to_owned(),
    ];
    let cases = [
        ("dtr.example.com", true),
        ("DTR.apps.example.com", true),
        ("registry.example.org", true),
        ("ucp.example.com", false),
        ("a.apps.example.com", false),
    ];
    for (fqdn, expected) in cases {
        let options = ImportOptions {
            fqdn: Some(fqdn.to_owned()),
            only: vec!["dtr_443".to_owned()],
            ..all()
        };
        let result = composed(vec![own.clone(), other.clone()], &options);
        let error = result.as_ref().err().map_or("", String::as_str);
        assert_eq!(result.is_ok(), expected, "{fqdn}: {error}");
        let names_it = error.contains("are led to ucp (0.0.0.0:443), which --only leaves out");
        assert_eq!(names_it, !expected, "{fqdn}: {error}");
    }
}

#[test]
fn a_missing_port_of_the_guide_is_pointed_out() {
    let cases = [
        (vec![443], "port 80 is missing"),
        (vec![80], "port 443 is missing"),
        (vec![443, 80], ""),
        (vec![5000], ""),
    ];
    for (ports, expected) in cases {
        let services = ports.iter().map(|port| service(*port)).collect();
        let (_, notes) = composed(services, &all()).unwrap();
        assert_eq!(
            notes.contains("is missing"),
            !expected.is_empty(),
            "{ports:?}: {notes}"
        );
        assert!(notes.contains(expected), "{ports:?}: {notes}");
    }
}

#[test]
fn the_page_of_the_old_balancer_is_on_loopback_and_has_a_token() {
    let found = Found {
        services: vec![service(443)],
        admin: Some(at(4, SocketAddr::from(([0, 0, 0, 0], 8181)))),
        max_connections: Some(at(5, 0)),
        fqdn: None,
    };
    let options = ImportOptions {
        token: "0123456789abcdef".to_owned(),
        ..all()
    };
    let mut notes = Notes::default();
    let file = compose(found, "old", &options, &mut notes).unwrap();
    let config = serde_json::to_value(&file).unwrap();
    let admin = json!({ "bind": "127.0.0.1:8181", "token": "0123456789abcdef" });
    assert_eq!(config["admin"], admin);
    assert_eq!(config["max_connections"], 1, "brought into the limits");
    assert_eq!(config["fqdn"], "10.0.0.1", "what there is, with an advice");
    let notes: Vec<String> = notes.sorted().iter().map(ToString::to_string).collect();
    assert!(
        notes
            .join("\n")
            .contains("could be reached from other machines"),
        "{notes:?}"
    );
}

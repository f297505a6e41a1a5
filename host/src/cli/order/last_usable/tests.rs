#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use dtr_lb_filter::admin::replica_status;
use dtr_lb_filter::admin::status::Status;
use dtr_lb_filter::health::reason::Reason;

use super::*;
use crate::cli::balancer_status::tests::{
    check, drained, healthy, read, registry, service, unhealthy,
};

type Replica = replica_status::ReplicaStatus;

fn held(name: &str) -> Replica {
    Replica {
        usable: false,
        held_for_ms: Some(4000),
        ..healthy(name)
    }
}

fn full(name: &str) -> Replica {
    Replica {
        usable: false,
        max_connections: Some(2),
        ..healthy(name)
    }
}

/// Why `r1` is not taken out.
fn refusal(status: &Status) -> Option<String> {
    let status = read(status);
    let (registry, replica) = status.replica("r1").unwrap();
    refuse(registry, replica)
        .err()
        .map(|error| error.to_string())
}

#[test]
fn only_the_last_replica_that_clients_can_be_given_to_is_kept() {
    let cases = [
        ("another is healthy", healthy("r1"), healthy("r2"), true),
        (
            "the other is unhealthy",
            healthy("r1"),
            unhealthy("r2"),
            false,
        ),
        ("the other is drained", healthy("r1"), drained("r2"), false),
        ("the other is full", healthy("r1"), full("r2"), false),
        ("the other is held", healthy("r1"), held("r2"), false),
        ("it serves no one", unhealthy("r1"), drained("r2"), true),
        ("it is away already", drained("r1"), unhealthy("r2"), true),
        (
            "it is held, and the other serves",
            held("r1"),
            healthy("r2"),
            true,
        ),
        ("both are held", held("r1"), held("r2"), true),
        (
            "it is held, and the last",
            held("r1"),
            unhealthy("r2"),
            false,
        ),
    ];
    for (why, own, other, may_go) in cases {
        let refused = refusal(&registry(vec![own, other]));
        assert_eq!(refused.is_none(), may_go, "{why}: {refused:?}");
    }
    assert!(
        refusal(&registry(vec![healthy("r1")])).is_some(),
        "there is no other"
    );
}

#[test]
fn a_refusal_names_who_is_turned_away_and_what_to_do() {
    let others = vec![healthy("r1"), unhealthy("r2"), drained("r3")];
    assert_eq!(
        refusal(&registry(others)).unwrap(),
        "r1 is the last usable replica on port 443: without it new clients of dtr.example.com are \
         turned away there; bring another one back first (r2: unhealthy, r3: drain), or give --force"
    );
    assert_eq!(
        refusal(&service("quay", vec![healthy("r1")])).unwrap(),
        "r1 is the last usable replica on port 443: without it new clients of quay.example.com \
         (service quay) are turned away there; it is the only one configured, or give --force"
    );
}

#[test]
fn each_port_is_looked_at_by_its_own_checks() {
    let mut other = healthy("r2");
    let bad = Some(Reason::Status);
    other.checks.push(check("ping-80", Verdict::Unhealthy, bad));
    let mut status = registry(vec![healthy("r1"), other]);
    let mut plain = status.listeners[0].clone();
    (plain.port, plain.checks) = (80, vec!["ping-80".to_owned()]);
    status.listeners.push(plain);
    let refused = refusal(&status).unwrap();
    assert!(refused.contains("on port 80:"), "{refused}");
    status.replicas[1].checks.clear();
    assert_eq!(refusal(&status), None);
}

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use dtr_lb_filter::admin::replica_status::{ReplicaState, ReplicaStatus as Said};
use dtr_lb_filter::balance::order::Order;
use serde_json::json;

use super::*;
use crate::cli::balancer_status::tests::{NOW, drained, healthy, read, registry, unhealthy};

fn texts(found: &[Finding]) -> Vec<(Severity, &str)> {
    let texts = found.iter().map(|one| (one.severity, one.text.as_str()));
    texts.collect()
}

#[test]
fn what_a_balancer_says_of_a_replica_becomes_a_finding() {
    let held = Said {
        held_for_ms: Some(3200),
        ..healthy("r1")
    };
    let full = Said {
        state: ReplicaState::Full,
        ..healthy("r1")
    };
    let commented = Said {
        comment: "a new disk".to_owned(),
        ..drained("r1")
    };
    let configured = Said {
        state: ReplicaState::Maintenance,
        order: Order::Maintenance,
        since_unix_ms: None,
        ..drained("r1")
    };
    let cases = [
        (healthy("r1"), None),
        (unhealthy("r1"), None),
        (
            held,
            Some((
                Severity::Warning,
                "replica \"r1\" is held back for 4 s more",
            )),
        ),
        (
            full,
            Some((Severity::Warning, "replica \"r1\" has all the connections")),
        ),
        (
            commented,
            Some((
                Severity::Note,
                "replica \"r1\" is in drain for 3 h (a new disk), and gets no new",
            )),
        ),
        (
            configured,
            Some((
                Severity::Note,
                "replica \"r1\" is in maintenance by the configuration, and gets no new",
            )),
        ),
    ];
    for (replica, expected) in cases {
        let shown = format!("{:?}", replica.state);
        // Another one keeps the port served.
        let status = read(&registry(vec![replica, healthy("r2")]));
        let found = findings(&status);
        match (texts(&found).as_slice(), expected) {
            ([], None) => {}
            ([(severity, text)], Some((expected, begin))) => {
                assert_eq!(*severity, expected, "{text}");
                assert!(text.starts_with(begin), "{text}");
            }
            (found, _) => panic!("{shown}: {found:?}"),
        }
    }
}

#[test]
fn what_concerns_all_clients_is_an_error() {
    let mut unserved = registry(vec![unhealthy("r1"), drained("r2")]);
    unserved.healthy = false;
    let found = findings(&read(&unserved));
    let first = texts(&found)[0];
    assert_eq!(first.0, Severity::Error);
    assert!(
        first
            .1
            .starts_with("the balancer has no usable replica for dtr.example.com on port 443;"),
        "{}",
        first.1
    );
    assert_eq!(found.len(), 2, "not healthy follows from it: {found:?}");

    let mut full = registry(vec![healthy("r1")]);
    full.connections.active = 100;
    let found = findings(&read(&full));
    assert!(found[0].text.starts_with("all 100 connections are in use"));
    assert_eq!((found.len(), found[0].severity), (1, Severity::Error));
}

#[test]
fn a_drain_comes_first() {
    let status = registry(vec![unhealthy("r1")]);
    let mut whole = serde_json::to_value(&status).unwrap();
    whole["host"] = json!({ "phase": "draining", "connections": { "active": 3 } });
    let found = findings(&BalancerStatus::read(&whole).unwrap());
    let expected = "the balancer is about to end: draining: no connections are accepted";
    assert!(found[0].text.starts_with(expected), "{found:?}");
    assert!(
        found[0].text.contains("; 3 connections are open;"),
        "{found:?}"
    );
    assert_eq!(found[0].severity, Severity::Error);
    whole["host"]["phase"] = "serving".into();
    let found = findings(&BalancerStatus::read(&whole).unwrap());
    assert!(found[0].text.contains("no usable replica"), "{found:?}");
}

#[test]
fn another_program_is_worth_knowing() {
    let mut status = registry(vec![healthy("r1")]);
    status.program = "0.0.1";
    let found = findings(&read(&status));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].severity, Severity::Note);
    assert!(
        found[0]
            .text
            .starts_with("the balancer is dtr-lb 0.0.1, and")
    );
}

#[test]
fn a_balancer_that_sees_a_replica_otherwise_is_told_from_one_that_does_not() {
    let cases = [
        (healthy("r1"), Verdict::Healthy, None),
        (unhealthy("r1"), Verdict::Unhealthy, None),
        (drained("r1"), Verdict::Unhealthy, None),
        (
            unhealthy("r1"),
            Verdict::Healthy,
            Some(
                "replica \"r1\" is unhealthy for the balancer for 3 h (timeout), and passes its \
                 checks here;",
            ),
        ),
        (
            healthy("r1"),
            Verdict::Unhealthy,
            Some("replica \"r1\" is healthy for the balancer for 3 h, and fails a check here;"),
        ),
    ];
    for (replica, here, expected) in cases {
        let status = read(&registry(vec![replica]));
        let (_, replica) = status.replica("r1").unwrap();
        let found = seen_otherwise(replica, here, NOW).map(|found| found.text);
        match (&found, expected) {
            (None, None) => {}
            (Some(text), Some(begin)) => assert!(text.starts_with(begin), "{text}"),
            _ => panic!("{found:?} is not {expected:?}"),
        }
    }
}

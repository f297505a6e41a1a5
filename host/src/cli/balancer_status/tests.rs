#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use dtr_lb_filter::admin::check_status::{AnswerStatus, CheckStatus};
use dtr_lb_filter::admin::replica_status::{ConnectionStatus, ReplicaState, ReplicaStatus};
use dtr_lb_filter::admin::status::{
    ConnectionsStatus, LeaseStatus, ListenerStatus, ServicesStatus, Status,
};
use dtr_lb_filter::config::{Policy, Service, WhenAllDown};
use dtr_lb_filter::health::reason::Reason;
use serde::Serialize;

use super::*;

pub(in crate::cli) const NOW: u64 = 1_000_000_000;

/// What the filter says of a healthy replica that serves 443.
pub(in crate::cli) fn healthy(name: &str) -> ReplicaStatus {
    ReplicaStatus {
        name: name.to_owned(),
        address: "10.0.0.11".to_owned(),
        state: ReplicaState::Healthy,
        since_unix_ms: Some(NOW - 3 * 3600 * 1000),
        reason: None,
        component: None,
        error: String::new(),
        order: Order::Ready,
        comment: String::new(),
        usable: true,
        weight: 1,
        backup: false,
        max_connections: None,
        connections: ConnectionStatus {
            active: 2,
            most: 5,
            total: 20,
            failures: 0,
        },
        downtime_ms: 0,
        held_for_ms: None,
        clock_skew_ms: None,
        certificate_expires_unix_ms: None,
        checks: vec![check("ping", Verdict::Healthy, None)],
    }
}

/// The same of one that is not.
pub(in crate::cli) fn unhealthy(name: &str) -> ReplicaStatus {
    ReplicaStatus {
        state: ReplicaState::Unhealthy,
        reason: Some(Reason::Timeout),
        usable: false,
        checks: vec![check("ping", Verdict::Unhealthy, Some(Reason::Timeout))],
        ..healthy(name)
    }
}

/// The same of one that the operator keeps away.
pub(in crate::cli) fn drained(name: &str) -> ReplicaStatus {
    ReplicaStatus {
        state: ReplicaState::Drain,
        order: Order::Drain,
        usable: false,
        ..healthy(name)
    }
}

pub(in crate::cli) fn check(name: &str, verdict: Verdict, reason: Option<Reason>) -> CheckStatus {
    CheckStatus {
        name: name.to_owned(),
        verdict,
        settled: true,
        since_unix_ms: NOW - 60_000,
        last: verdict,
        streak: 3,
        reason,
        component: None,
        error: String::new(),
        good: 7,
        bad: 3,
        answers: vec![AnswerStatus {
            unix_ms: NOW - 1500,
            latency_us: 4321,
            reason,
        }],
    }
}

/// What the filter says of a registry with one port.
pub(in crate::cli) fn registry(replicas: Vec<ReplicaStatus>) -> Status {
    Status {
        version: 1,
        program: "0.1.0",
        now_unix_ms: NOW,
        service: None,
        fqdn: "dtr.example.com".to_owned(),
        policy: Policy::LeastConnections,
        when_all_down: WhenAllDown::Refuse,
        healthy: true,
        error: String::new(),
        min_healthy: 1,
        connections: ConnectionsStatus {
            active: 4,
            limit: Some(100),
        },
        lease: LeaseStatus {
            mine: true,
            held_for_ms: None,
            renewed_ms_ago: None,
        },
        listeners: vec![ListenerStatus {
            port: 443,
            usable: replicas.iter().filter(|replica| replica.usable).count(),
            checks: vec!["ping".to_owned()],
        }],
        disagreements: Vec::new(),
        cluster_status: None,
        replicas,
        events: Vec::new(),
    }
}

/// The same, as one of several services.
pub(in crate::cli) fn service(name: &str, replicas: Vec<ReplicaStatus>) -> Status {
    let fqdn = format!("{name}.example.com");
    Status {
        service: Some(Service {
            name: name.to_owned(),
            names: vec![fqdn.clone()],
        }),
        fqdn,
        ..registry(replicas)
    }
}

pub(in crate::cli) fn services(services: Vec<Status>) -> ServicesStatus {
    ServicesStatus {
        version: 1,
        program: "0.1.0",
        now_unix_ms: NOW,
        healthy: true,
        error: String::new(),
        connections: ConnectionsStatus {
            active: 8,
            limit: None,
        },
        services,
    }
}

/// As the commands read what the filter writes.
pub(in crate::cli) fn read(status: &impl Serialize) -> BalancerStatus {
    BalancerStatus::read(&serde_json::to_value(status).unwrap()).unwrap()
}

#[test]
fn what_the_filter_writes_is_read_for_one_registry_and_for_services() {
    let status = read(&registry(vec![healthy("r1"), unhealthy("r2")]));
    assert_eq!(status.registries.len(), 1);
    assert_eq!(status.registries[0].name(), "dtr.example.com");
    let (_, replica) = status.replica("r2").unwrap();
    assert_eq!(&*replica.state, "unhealthy");
    assert_eq!(
        replica.last_answer().unwrap().reason.as_deref(),
        Some("timeout")
    );
    assert_eq!(status.unserved().count(), 0);

    let several = services(vec![
        service("dtr", vec![healthy("dtr/r1")]),
        service("quay", vec![drained("quay/r1")]),
    ]);
    let status = read(&several);
    let (owner, _) = status.replica("quay/r1").unwrap();
    assert_eq!(owner.name(), "quay");
    let unserved: Vec<_> = status
        .unserved()
        .map(|(of, port)| (of.name(), port))
        .collect();
    assert_eq!(unserved, [("quay", 443)]);
    let unknown = status.replica("r1\u{1b}[2J").unwrap_err().to_string();
    assert_eq!(
        unknown,
        "there is no replica \"r1\\u{1b}[2J\"; known: dtr/r1, quay/r1"
    );
}

#[test]
fn texts_of_others_can_do_nothing_to_a_terminal() {
    let mut replica = unhealthy("r1");
    replica.error = "\u{1b}]0;title\u{7}down".to_owned();
    replica.comment = "line\nbreak".to_owned();
    let status = read(&registry(vec![replica]));
    let (_, replica) = status.replica("r1").unwrap();
    assert_eq!(&*replica.error, r"\u{1b}]0;title\u{7}down");
    assert_eq!(&*replica.comment, r"line\u{a}break");
}

#[test]
fn what_a_later_version_adds_is_no_error() {
    let mut whole = serde_json::to_value(registry(vec![healthy("r1")])).unwrap();
    whole["later"] = 1.into();
    whole["replicas"][0]["state"] = "resting".into();
    whole["replicas"][0]["checks"][0]["answers"][0]["reason"] = "bored".into();
    let status = BalancerStatus::read(&whole).unwrap();
    assert_eq!(&*status.replica("r1").unwrap().1.state, "resting");
}

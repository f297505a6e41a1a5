#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use anstyle::AnsiColor;
use dtr_lb_filter::health::reason::Component;

use super::*;
use crate::cli::balancer_status::tests::{
    NOW, drained, healthy, read, registry, service, services, unhealthy,
};

fn look(width: usize) -> Look {
    Look {
        address: ([127, 0, 0, 1], 8181).into(),
        width,
        palette: Palette::default(),
    }
}

fn shown(status: &BalancerStatus, width: usize) -> String {
    look(width).lines(status, Freshness::Fresh).join("\n")
}

#[test]
fn a_row_says_what_a_replica_is_and_why() {
    let mut bad = unhealthy("r2");
    bad.component = Some(Component::Rethinkdb);
    bad.error = "rethinkdb: no primary".to_owned();
    (bad.since_unix_ms, bad.weight) = (Some(NOW - 90_000), 20);
    let mut away = drained("r3");
    away.comment = "a new disk".to_owned();
    (away.since_unix_ms, away.backup) = (None, true);
    (away.max_connections, away.connections.active) = (Some(500), 1);
    away.checks.clear();
    let status = read(&registry(vec![healthy("r1"), bad, away]));
    assert_eq!(
        shown(&status, usize::MAX),
        "\
dtr-lb 0.1.0 at 127.0.0.1:8181: dtr.example.com, port 443, 1 of 3 replicas usable, 4 of 100 connections

name  state      since  sessions  weight  role    last check       latency  why                                         comment
r1    healthy      3 h         2       1          good 1 s ago      4.3 ms
r2    unhealthy   90 s         2      20          timeout 1 s ago   4.3 ms  timeout (rethinkdb): rethinkdb: no primary
r3    drain             1 of 500       1  backup                                                                        a new disk"
    );
    let narrow = shown(&status, 100);
    let widest = narrow
        .lines()
        .skip(1)
        .map(|line| line.chars().count())
        .max();
    assert!(widest <= Some(100), "{narrow}");
}

#[test]
fn each_service_has_a_section() {
    let mut quay = service("quay", vec![healthy("quay/r1"), unhealthy("quay/r2")]);
    let mut plain = quay.listeners[0].clone();
    (plain.port, plain.usable) = (80, 2);
    quay.listeners.push(plain);
    let mut status = services(vec![service("dtr", vec![healthy("dtr/r1")]), quay]);
    (status.healthy, status.error) = (false, "dtr: port 443".to_owned());
    let text = shown(&read(&status), 100);
    let headings: Vec<&str> = text.lines().filter(|line| !line.contains("/r")).collect();
    assert_eq!(
        headings[..4],
        [
            "dtr-lb 0.1.0 at 127.0.0.1:8181: 2 services, 8 connections",
            "not ready: dtr: port 443",
            "",
            "dtr (dtr.example.com), port 443, 1 of 1 replicas usable",
        ],
        "{text}"
    );
    assert!(
        headings
            .contains(&"quay (quay.example.com), 1 of 2 replicas usable (port 443: 1, port 80: 2)"),
        "{text}"
    );
}

#[test]
fn what_is_not_known_any_more_never_looks_well() {
    let status = read(&registry(vec![healthy("r1")]));
    let mut look = look(100);
    look.palette.good = AnsiColor::Green.on_default();
    let green = "\u{1b}[32m";
    let fresh = look.lines(&status, Freshness::Fresh).join("\n");
    assert!(fresh.contains(&format!("{green}healthy")), "{fresh}");
    let stale = Freshness::Stale {
        age: Duration::from_secs(12),
        why: "connection refused",
    };
    let text = look.lines(&status, stale).join("\n");
    assert!(text.contains("STALE, no answer for 12 s: connection refused"));
    assert!(text.contains("? was healthy"), "{text}");
    assert!(text.contains("good 13 s ago"), "its age goes on: {text}");
    assert!(!text.contains(green), "{text}");
}

#[test]
fn a_replica_that_is_held_or_not_usable_looks_so() {
    let palette = Palette {
        good: AnsiColor::Green.on_default(),
        bad: AnsiColor::Red.on_default(),
        notable: AnsiColor::Yellow.on_default(),
        ..Palette::default()
    };
    let look = Look {
        palette,
        ..look(100)
    };
    let mut held = healthy("r1");
    (held.usable, held.held_for_ms) = (false, Some(3200));
    let mut held_like_all = held.clone();
    held_like_all.usable = true;
    let cases = [
        (healthy("r1"), palette.good, ""),
        (unhealthy("r1"), palette.bad, "timeout"),
        (drained("r1"), palette.notable, ""),
        (held, palette.notable, "held for 4 s more"),
        (held_like_all, palette.notable, "held for 4 s more"),
    ];
    for (replica, style, reason) in cases {
        let status = read(&registry(vec![replica]));
        let (_, replica) = status.replica("r1").unwrap();
        assert_eq!(look.state(replica, Freshness::Fresh).1, style, "{reason}");
        assert_eq!(why(replica), reason);
    }
}

//! What becomes of replicas that differ: it is reported, and nothing else.

use crate::world::{Does, World, sample_config};
use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::config::{Compare, Config};
use dtr_lb_filter::contract::{LogField, LogFields};
use dtr_lb_filter::effect::Level;
use serde_json::json;

fn compared(replicas: usize) -> Config {
    let compare = Compare {
        check: "ping".to_owned(),
        path: "/v2/".to_owned(),
        interval_ms: 60_000,
    };
    Config {
        compare: Some(compare),
        ..sample_config(replicas)
    }
}

/// Lines of the log that speak of a clock.
fn clock_lines(world: &World) -> Vec<(Level, &str)> {
    let lines = world
        .log
        .iter()
        .map(|(level, text)| (*level, text.as_str()));
    lines.filter(|(_, text)| text.contains("clock")).collect()
}

#[test]
fn a_clock_that_differs_is_logged_once_and_is_never_a_verdict() {
    let mut world = World::settled(compared(3), 2);
    world.ahead_ms[1] = 3_600_000;
    world.pass(10_000);

    let logged = clock_lines(&world);
    assert_eq!(logged.len(), 1, "{logged:?}");
    let (level, text) = logged[0];
    assert_eq!(level, Level::Warn);
    let expected = "replica \"r2\": its clock is 60 min 0 s ahead of the others'; tokens";
    assert!(text.starts_with(expected), "{text}");
    let (_, fields) = LogFields::split(text);
    assert_eq!(fields.get(LogField::Reason), Some("clock"), "{text}");
    assert_eq!(fields.get(LogField::Replica), Some("r2"), "{text}");
    assert_eq!(world.inspected, [1, 1, 1], "a round a minute");
    world.pass(180_000);
    assert_eq!(world.inspected, [4, 4, 4]);
    assert_eq!(clock_lines(&world).len(), 1, "{:?}", clock_lines(&world));
    for vm in 0..2 {
        let status = world.status(vm);
        assert_eq!(status["disagreements"][0]["subject"], "clock", "{status}");
        assert_eq!(status["disagreements"][0]["replicas"], json!(["r2"]));
        assert_eq!(status["replicas"][0]["clock_skew_ms"], 0);
        let skew_ms = status["replicas"][1]["clock_skew_ms"].as_i64().unwrap();
        assert!((3_599_000..=3_601_000).contains(&skew_ms), "{skew_ms}");
        assert_eq!(status["replicas"][1]["state"], "healthy");
    }
    let gauge = |name: &str| {
        world
            .metrics
            .get(&format!("dtr_lb.replica.{name}.clock_skew_seconds"))
    };
    assert_eq!(gauge("r1"), Some(&0));
    assert!(
        gauge("r2").is_some_and(|skew| (3599..=3601).contains(skew)),
        "{:?}",
        gauge("r2")
    );

    world.ahead_ms[1] = 0;
    world.pass(60_000);
    let logged = clock_lines(&world);
    assert_eq!(logged.len(), 2, "{logged:?}");
    let (level, text) = logged[1];
    assert_eq!(level, Level::Info);
    assert!(
        text.starts_with("no longer: replica \"r2\": its clock is"),
        "{text}"
    );
    assert_eq!(world.status(0)["disagreements"], json!([]));
}

#[test]
fn a_vm_that_takes_over_does_not_log_it_again_and_reports_it_at_once() {
    let mut world = World::settled(compared(2), 2);
    world.ahead_ms[1] = 90_000;
    world.pass(10_000);
    assert_eq!(clock_lines(&world).len(), 1);
    let holder = (0..2)
        .find(|vm| world.vms[*vm].balancer.is_holder())
        .unwrap();

    world.retire(holder);
    world.metrics.clear();
    world.pass(3000);
    assert_eq!(world.inspected, [1, 1], "before its own first round");
    let gauge = "dtr_lb.replica.r2.clock_skew_seconds";
    assert!(world.metrics.contains_key(gauge), "{:?}", world.metrics);
    world.pass(120_000);

    assert!(world.vms[1 - holder].balancer.is_holder());
    assert!(world.inspected[0] >= 2, "{:?}", world.inspected);
    assert_eq!(clock_lines(&world).len(), 1, "{:?}", clock_lines(&world));
}

#[test]
fn a_replica_in_maintenance_or_without_an_answer_is_left_as_it_was_seen() {
    let mut world = World::settled(compared(3), 1);
    world.ahead_ms[2] = 20_000;
    world.pass(10_000);
    assert_eq!(
        world.status(0)["disagreements"][0]["replicas"],
        json!(["r3"])
    );

    world.does[2] = Does::Hang;
    world.order(0, 0, Order::Maintenance).unwrap();
    world.pass(120_000);

    assert_eq!(world.inspected[0], 1, "not in maintenance");
    assert!(world.inspected[2] >= 2);
    assert_eq!(
        world.status(0)["disagreements"][0]["replicas"],
        json!(["r3"])
    );
}

#[test]
fn of_a_thousand_replicas_a_few_are_asked_at_a_time() {
    let mut world = World::settled(compared(100), 1);
    world.pass(10_000);
    assert_eq!(world.inspected, [1; 100]);
}

#[test]
fn nothing_is_asked_where_nothing_is_compared() {
    let mut world = World::settled(sample_config(2), 1);
    world.ahead_ms[1] = 3_600_000;
    world.pass(120_000);
    assert_eq!(world.inspected, [0, 0]);
    let status = world.status(0);
    assert_eq!(status["disagreements"], json!([]));
    assert!(status["replicas"][1]["clock_skew_ms"].is_null());
}

/// All lines that report something that begins, or is over.
fn logged(world: &World) -> Vec<&str> {
    let lines = world.log.iter().map(|(_, text)| text.as_str());
    let is_logged = |text: &&str| {
        [
            "clock",
            "certificate",
            "log in",
            "answers with",
            "more lines",
        ]
        .iter()
        .any(|part| text.contains(part))
    };
    lines.filter(is_logged).collect()
}

#[test]
fn a_clock_about_at_the_limit_does_not_come_and_go() {
    let mut world = World::settled(compared(3), 1);
    for ahead_ms in [7000, 4700, 5300, 4600, 7000] {
        world.ahead_ms[1] = ahead_ms;
        world.pass(60_000);
    }
    assert_eq!(logged(&world).len(), 1, "{:?}", logged(&world));
    world.ahead_ms[1] = 2000;
    world.pass(60_000);
    assert_eq!(logged(&world).len(), 2, "{:?}", logged(&world));
}

/// As a host hands over a certificate for the registry's name that expires then.
fn certificate(not_after: u64) -> &'static str {
    let text = json!({
        "sha256": "aa", "issuer": "CN=CA", "names": ["other.example.com"], "not_after": not_after,
    });
    text.to_string().leak()
}

#[test]
fn a_certificate_that_is_wrong_already_is_logged_once_more_when_it_expires() {
    let mut world = World::settled(compared(2), 1);
    let header = "x-dtr-lb-peer-certificate";
    world.shows = vec![vec![(header, certificate(100 * 86_400))]; 2];
    world.pass(10_000);
    let first = logged(&world).len();
    assert_eq!(
        first,
        1,
        "one line for the two that share it: {:?}",
        logged(&world)
    );
    world.shows = vec![vec![(header, certificate(86_400))]; 2];
    world.pass(60_000);
    let logged = logged(&world);
    assert_eq!(logged.len(), 2, "{logged:?}");
    let expected = "replicas \"r1\", \"r2\": their certificate expires in ";
    assert!(logged[1].starts_with(expected), "{logged:?}");
}

#[test]
fn a_replica_in_trouble_is_not_reported_as_unlike_the_others() {
    let mut world = World::settled(compared(3), 1);
    let well = vec![
        (":status", "401"),
        ("server", "registry"),
        (
            "www-authenticate",
            "Bearer realm=\"https://dtr.example.com/auth\"",
        ),
    ];
    let troubled = vec![(":status", "503"), ("server", "nginx")];
    world.shows = vec![well.clone(), well.clone(), troubled.clone()];
    world.pass(70_000);
    assert_eq!(logged(&world), [""; 0], "in trouble from the start");
    world.shows[2] = well;
    world.pass(60_000);
    world.shows[2] = troubled;
    world.ahead_ms[2] = 60_000;
    world.pass(60_000);
    let logged = logged(&world);
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(
        logged[0].contains("clock"),
        "that is known all the same: {logged:?}"
    );
}

#[test]
fn what_is_found_is_logged_though_one_answer_never_comes() {
    let mut world = World::settled(compared(3), 1);
    world.ahead_ms[0] = 60_000;
    world.does[2] = Does::Hang;
    world.pass(20_000);
    assert_eq!(clock_lines(&world).len(), 1, "{:?}", clock_lines(&world));
}

#[test]
fn a_thousand_lines_are_not_logged() {
    let mut world = World::settled(compared(100), 1);
    for replica in 0..40 {
        world.ahead_ms[replica] = 60_000;
    }
    world.pass(10_000);
    let logged = logged(&world);
    assert_eq!(logged.len(), 21, "{logged:?}");
    assert!(
        logged[20].starts_with("replicas differ: 20 more lines"),
        "{logged:?}"
    );
}

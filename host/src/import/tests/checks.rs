//! Health checks out of those of several services.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::time::Duration;

use serde_json::{Value, json};

use super::composing::{all, at, composed, service};
use crate::import::ImportOptions;
use crate::import::found::{Check, CheckKind, Verify};

fn https(path: &str, tls: Option<Verify>) -> Check {
    Check::new(CheckKind::Http {
        tls,
        path: path.to_owned(),
        statuses: vec![(200, 399)],
        headers: vec![("x-probe".to_owned(), "1".to_owned())],
    })
}

#[test]
fn a_check_of_its_own_stands_at_the_listener() {
    let mut one = service(443);
    one.check = Some(at(1, https("/_ping", Some(Verify::CaFile(CA.to_owned())))));
    let mut other = service(80);
    other.check = Some(at(2, https("/_ping", None)));
    let options = ImportOptions {
        verify: Some("system".to_owned()),
        ..all()
    };
    let (config, notes) = composed(vec![other, one], &options).unwrap();
    let https = json!({ "target": "https:443/_ping", "statuses": ["200-399"],
        "headers": { "x-probe": "1" }, "verify": "system" });
    assert_eq!(
        config["health"], https,
        "that of HTTPS is the general one, --verify counts"
    );
    assert_eq!(config["listeners"][0]["health"]["target"], "http:80/_ping");
    assert!(config["listeners"][1].get("health").is_none());
    assert!(
        notes.contains("old:2: advice: a redirect counts as healthy"),
        "{notes}"
    );
}

#[test]
fn any_check_that_believes_all_certificates_is_pointed_out() {
    let mut one = service(443);
    one.check = Some(at(1, https("/_ping", Some(Verify::System))));
    let mut other = service(8443);
    other.check = Some(at(2, https("/_ping", Some(Verify::None))));
    let (_, notes) = composed(vec![one.clone(), other], &all()).unwrap();
    assert!(
        notes.contains("old:2: advice: probes believe any certificate"),
        "{notes}"
    );
    let (_, notes) = composed(vec![one], &all()).unwrap();
    assert!(!notes.contains("believe any certificate"), "{notes}");
}

#[test]
fn what_was_never_asked_is_asked_where_the_port_says_how() {
    let cases = [
        (vec![service(443), service(80)], "https:443/_ping"),
        (vec![service(80)], "http:80/_ping"),
        (vec![service(5000)], "tcp:5000"),
    ];
    for (services, expected) in cases {
        let (config, notes) = composed(services, &all()).unwrap();
        assert_eq!(config["health"]["target"], expected);
        assert!(
            notes.contains("nothing here asks the servers how they are"),
            "{notes}"
        );
    }
}

#[test]
fn the_rhythm_of_probes_is_one_that_can_be_used() {
    let seconds = |count: u64| Some(Duration::from_secs(count));
    // Interval, fast interval and timeout as given; what becomes of them.
    let cases = [
        ((None, None, None), [None, None, None]),
        (
            (seconds(5), None, seconds(9)),
            [Some("5s"), None, Some("5s")],
        ),
        ((None, None, seconds(9)), [Some("9s"), None, Some("9s")]),
        ((None, None, seconds(1)), [Some("2s"), None, Some("1s")]),
        ((None, seconds(1), None), [Some("2s"), Some("1s"), None]),
        (
            (seconds(3), seconds(4), None),
            [Some("3s"), Some("3s"), None],
        ),
    ];
    for ((interval, fast_interval, timeout), expected) in cases {
        let mut one = service(443);
        one.check = Some(at(
            1,
            Check {
                interval,
                fast_interval,
                timeout,
                rise: Some(0),
                fall: Some(99_999),
                ..https("/_ping", Some(Verify::System))
            },
        ));
        let (config, _) = composed(vec![one], &all()).unwrap();
        let health = &config["health"];
        let found = ["interval", "fast_interval", "timeout"]
            .map(|field| health.get(field).and_then(Value::as_str));
        assert_eq!(
            found, expected,
            "{interval:?} {fast_interval:?} {timeout:?}"
        );
        assert_eq!(
            (&health["rise"], &health["fall"]),
            (&json!(1), &json!(1000))
        );
    }
}

#[test]
fn the_rhythm_is_that_of_the_check_which_is_taken() {
    let mut one = service(80);
    one.check = Some(at(1, https("/_ping", None)));
    let mut other = service(443);
    other.check = Some(at(
        2,
        Check {
            interval: Some(Duration::from_secs(5)),
            fall: Some(2),
            ..https("/_ping", Some(Verify::System))
        },
    ));
    let (config, notes) = composed(vec![one, other], &all()).unwrap();
    let health = &config["health"];
    assert_eq!(
        (&health["interval"], &health["fall"]),
        (&json!("5s"), &json!(2))
    );
    let expected = "old:1: not taken over: when replicas are probed is one thing for all listeners, \
                    and that of old:2 is taken";
    assert!(notes.contains(expected), "{notes}");
}

#[test]
fn a_timeout_that_makes_probes_rarer_is_pointed_out() {
    let mut one = service(443);
    let timeout = Some(Duration::from_secs(10));
    let tls = Some(Verify::System);
    one.check = Some(at(
        1,
        Check {
            timeout,
            ..https("/_ping", tls)
        },
    ));
    let (_, notes) = composed(vec![one], &all()).unwrap();
    let expected = "old:1: advice: replicas are probed every 10s now, and were every 2s";
    assert!(notes.contains(expected), "{notes}");
}

const CA: &str = "/etc/dtr/ca.pem";

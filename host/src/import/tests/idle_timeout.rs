//! One idle timeout out of those of several services.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::time::Duration;

use super::composing::{all, at, composed, service};

#[test]
fn nobody_is_cut_sooner_than_before() {
    let seconds = Duration::from_secs;
    // What one service says, what the other one has without a word, and what both get.
    let cases = [
        (seconds(30), None, None),
        (seconds(7200), None, None),
        (seconds(30), Some(seconds(600)), None),
        (seconds(600), Some(seconds(600)), None),
        (seconds(7200), Some(seconds(600)), Some("2h")),
    ];
    for (given, implied, expected) in cases {
        let mut one = service(80);
        one.idle_timeout = Some(at(1, given));
        let mut other = service(443);
        other.implied_idle_timeout = implied;
        let (config, notes) = composed(vec![one, other], &all()).unwrap();
        let found = config
            .get("idle_timeout")
            .map(|time| time.as_str().unwrap());
        assert_eq!(found, expected, "{given:?} {implied:?}");
        let is_noted = notes.contains("were not cut so soon: there is none now");
        assert_eq!(is_noted, expected.is_none(), "{notes}");
    }
}

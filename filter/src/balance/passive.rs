//! Connect failures that sessions saw, and the replicas they take out for a while.

use crate::config;
use crate::time::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// One replica's failures of late.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passive {
    failures: VecDeque<Moment>,
    held_until: Option<Moment>,
}

/// What a failure came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The replica is out as of now.
    Begins,
    /// Nothing changed.
    AsBefore,
}

impl Passive {
    /// Takes in connect failures.
    pub(crate) fn failed(&mut self, times: u64, rules: &config::Passive, now: Moment) -> Hold {
        if rules.fails == 0 || self.is_held(now) {
            return Hold::AsBefore;
        }
        let window = Duration::from_millis(rules.window_ms);
        while self
            .failures
            .front()
            .is_some_and(|failure| now.since(*failure) > window)
        {
            self.failures.pop_front();
        }
        let needed = rules.fails as usize;
        for _ in 0..times.min(u64::from(rules.fails)) {
            self.failures.push_back(now);
        }
        if self.failures.len() < needed {
            return Hold::AsBefore;
        }
        self.failures.clear();
        self.held_until = Some(now.plus(Duration::from_millis(rules.hold_ms)));
        Hold::Begins
    }

    /// A session reached the replica: whatever it was, it is over.
    pub(crate) fn reached(&mut self) {
        self.failures.clear();
        self.held_until = None;
    }

    /// Whether the replica is out for now.
    pub(crate) fn is_held(&self, now: Moment) -> bool {
        self.held_until.is_some_and(|until| now < until)
    }

    /// When the hold ends, if one is on.
    pub(crate) fn held_until(&self) -> Option<Moment> {
        self.held_until
    }

    /// Forgets a hold whose time is over; whether there was one.
    pub(crate) fn expire(&mut self, now: Moment) -> bool {
        self.held_until.take_if(|until| *until <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: config::Passive = config::Passive {
        fails: 2,
        window_ms: 1000,
        hold_ms: 5000,
    };

    fn at(ms: u64) -> Moment {
        Moment::at(Duration::from_millis(ms))
    }

    #[test]
    fn failures_within_the_window_take_out() {
        let cases: [(&str, &[u64], bool); 5] = [
            ("one failure is not enough", &[0], false),
            ("two within the window are", &[0, 1000], true),
            ("two further apart are not", &[0, 1001], false),
            ("a later pair is", &[0, 1001, 1500], true),
            ("three at once are", &[10, 10, 10], true),
        ];
        for (why, failures, held) in cases {
            let mut passive = Passive::default();
            for ms in failures {
                passive.failed(1, &RULES, at(*ms));
            }
            let last = failures.last().copied().unwrap_or_default();
            assert_eq!(passive.is_held(at(last)), held, "{why}: {failures:?}");
        }
    }

    #[test]
    fn a_hold_ends_by_itself_or_with_a_connection() {
        let mut passive = Passive::default();
        assert_eq!(passive.failed(7, &RULES, at(0)), Hold::Begins);
        assert!(passive.is_held(at(4999)));
        assert!(!passive.is_held(at(5000)), "its time is over");
        assert!(passive.expire(at(5000)));
        assert!(!passive.expire(at(5000)), "once");

        passive.failed(2, &RULES, at(6000));
        passive.reached();
        assert!(!passive.is_held(at(6001)), "a session got through");
        passive.failed(1, &RULES, at(6002));
        assert!(!passive.is_held(at(6002)), "and the count began anew");
    }
}

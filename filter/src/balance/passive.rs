//! Connect failures of real connections, and the replicas they eject for a while.

use super::stream::Opening;
use crate::config;
use crate::health::reason::Reason;
use crate::time::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// One replica's recent failures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passive {
    /// Connects that failed.
    failures: VecDeque<Moment>,
    /// Connections in a row that it left unserved.
    unserved: u64,
    hold: Option<Hold>,
}

/// An ejection.
#[derive(Clone, Copy, Debug)]
struct Hold {
    until: Moment,
    /// The connection opened last when it began.
    after: Opening,
}

/// What a replica failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// To take a connection.
    Connect,
    /// To say anything on one it had taken. Clients can bring that about, by what they
    /// send: only several in a row count, while nobody else is served.
    Unserved,
}

impl Failure {
    /// The name it goes by in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Failure::Connect => Reason::ConnectFailed.name(),
            Failure::Unserved => "unserved",
        }
    }
}

/// Whether a failure ejects the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ejection {
    /// The replica is out as of now.
    Begins,
    /// Nothing changed.
    Unchanged,
}

impl Passive {
    /// Takes in failures. `last` is the connection opened last.
    pub(crate) fn failed(
        &mut self,
        failure: Failure,
        times: u64,
        rules: &config::Passive,
        last: Opening,
        now: Moment,
    ) -> Ejection {
        if rules.fails == 0 || self.is_ejected(now) {
            return Ejection::Unchanged;
        }
        let has_failed = match failure {
            Failure::Connect => self.connects_failed(times, rules, now),
            Failure::Unserved => {
                self.unserved = self.unserved.saturating_add(times);
                self.unserved >= unserved_in_a_row(rules)
            }
        };
        if !has_failed {
            return Ejection::Unchanged;
        }
        self.unserved = 0;
        self.failures.clear();
        self.hold = Some(Hold {
            until: now.plus(Duration::from_millis(rules.hold_ms)),
            after: last,
        });
        Ejection::Begins
    }

    /// Whether there were as many within the window as eject.
    fn connects_failed(&mut self, times: u64, rules: &config::Passive, now: Moment) -> bool {
        let window = Duration::from_millis(rules.window_ms);
        while self
            .failures
            .front()
            .is_some_and(|failure| now.since(*failure) > window)
        {
            self.failures.pop_front();
        }
        for _ in 0..times.min(u64::from(rules.fails)) {
            self.failures.push_back(now);
        }
        self.failures.len() >= rules.fails as usize
    }

    /// A byte came from the replica: whatever it was, it is over. A connection that was
    /// opened before an ejection began may have reached it before, too, and is only
    /// reported late.
    pub(crate) fn reached(&mut self, opening: Opening) {
        self.unserved = 0;
        if self.hold.is_none_or(|hold| opening > hold.after) {
            self.failures.clear();
            self.hold = None;
        }
    }

    /// Whether the replica is out for now.
    pub(crate) fn is_ejected(&self, now: Moment) -> bool {
        self.hold.is_some_and(|hold| now < hold.until)
    }

    /// When the ejection ends, if there is one.
    pub(crate) fn ejected_until(&self) -> Option<Moment> {
        self.hold.map(|hold| hold.until)
    }

    /// Forgets an ejection whose time is over; whether there was one.
    pub(crate) fn expire(&mut self, now: Moment) -> bool {
        self.hold.take_if(|hold| hold.until <= now).is_some()
    }
}

/// What an ejection by these rules comes from, and how long it lasts.
pub(crate) fn describe(failure: Failure, rules: &config::Passive) -> String {
    let failures = match (failure, rules.fails) {
        (Failure::Connect, 1) => "a connection to it failed".to_owned(),
        (Failure::Connect, fails) => {
            let ms = rules.window_ms;
            format!("{fails} connections to it failed within {ms} ms")
        }
        (Failure::Unserved, _) => {
            let count = unserved_in_a_row(rules);
            format!("it ended {count} connections in a row before their first byte")
        }
    };
    format!("{failures}; held back for {} ms", rules.hold_ms)
}

/// How many connections in a row it must leave unserved to be ejected.
fn unserved_in_a_row(rules: &config::Passive) -> u64 {
    u64::from(rules.fails.max(FEWEST_UNSERVED))
}

const FEWEST_UNSERVED: u32 = 3;

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
        for (why, failures, ejected) in cases {
            let mut passive = Passive::default();
            for ms in failures {
                passive.failed(Failure::Connect, 1, &RULES, Opening(0), at(*ms));
            }
            let last = failures.last().copied().unwrap_or_default();
            assert_eq!(passive.is_ejected(at(last)), ejected, "{why}: {failures:?}");
        }
    }

    #[test]
    fn an_ejection_is_described_by_its_rules() {
        let one = config::Passive { fails: 1, ..RULES };
        let many = config::Passive { fails: 9, ..RULES };
        let cases = [
            (Failure::Connect, one, "a connection to it failed"),
            (
                Failure::Connect,
                RULES,
                "2 connections to it failed within 1000 ms",
            ),
            (
                Failure::Unserved,
                one,
                "it ended 3 connections in a row before their first byte",
            ),
            (
                Failure::Unserved,
                many,
                "it ended 9 connections in a row before their first byte",
            ),
        ];
        for (failure, rules, expected) in cases {
            let expected = format!("{expected}; held back for 5000 ms");
            assert_eq!(describe(failure, &rules), expected);
        }
    }

    #[test]
    fn a_client_that_is_served_ends_a_row_of_others_that_were_not() {
        let mut passive = Passive::default();
        let mut unserved = |served: &[u32]| {
            for nth in 0..6 {
                passive.failed(Failure::Unserved, 1, &RULES, Opening(1), at(0));
                if served.contains(&nth) {
                    passive.reached(Opening(1));
                }
            }
            passive.is_ejected(at(0))
        };
        assert!(!unserved(&[1, 3, 5]), "two in a row at most");
        assert!(unserved(&[0]), "five in a row");
    }

    #[test]
    fn an_ejection_ends_by_itself_or_with_a_connection() {
        let mut passive = Passive::default();
        let failed = passive.failed(Failure::Connect, 7, &RULES, Opening(1), at(0));
        assert_eq!(failed, Ejection::Begins);
        assert!(passive.is_ejected(at(4999)));
        assert!(!passive.is_ejected(at(5000)), "its time is over");
        assert!(passive.expire(at(5000)));
        assert!(!passive.expire(at(5000)), "once");

        passive.failed(Failure::Connect, 2, &RULES, Opening(8), at(6000));
        for before in [Opening(7), Opening(8)] {
            passive.reached(before);
            assert!(passive.is_ejected(at(6001)), "it was opened before");
        }
        passive.reached(Opening(9));
        assert!(!passive.is_ejected(at(6001)), "a connection got through");
        passive.failed(Failure::Connect, 1, &RULES, Opening(9), at(6002));
        assert!(!passive.is_ejected(at(6002)), "and the count began anew");
    }
}

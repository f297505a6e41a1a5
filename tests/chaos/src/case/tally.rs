//! Which errors clients saw, and which of them a balancer could have spared them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::event::Expected;
use crate::load::{Load, Outcome, Record};

/// Moments of an event, in their order.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// When the first thing happened.
    pub(super) began: Option<Instant>,
    marks: Vec<Mark>,
}

/// A moment that says something of the connections open at it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// Between these two, connections of a replica were cut.
    Severed(Instant, Instant),
    /// From here on nobody could be served.
    AllDown(Instant),
    /// From here on clients could.
    Up(Instant),
}

/// Connections, and errors by kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) connections: u64,
    /// Of these, the ones that began after the event had, and were served whole.
    pub(crate) served_since: u64,
    /// Errors that a balancer could have prevented.
    pub(crate) errors: BTreeMap<Outcome, u64>,
    /// Errors of connections that were open when a replica was cut.
    pub(crate) severed: BTreeMap<Outcome, u64>,
    /// Errors of connections that began while no replica served.
    pub(crate) down: BTreeMap<Outcome, u64>,
    /// Clients that lacked a port or a descriptor of their own.
    pub(crate) harness: u64,
    /// Clients that were not started, since too many were open.
    pub(crate) withheld: u64,
    /// Longest wait for a first byte, of those that were served whole and not open
    /// when a replica was cut; milliseconds.
    pub(crate) worst_wait: u64,
    /// The longest delay of the load itself; milliseconds.
    pub(crate) late: u64,
}

impl Marks {
    pub(super) fn put(&mut self, mark: Mark) {
        self.marks.push(mark);
    }

    /// Whether it was open while a replica's connections were cut.
    fn severed(&self, record: &Record) -> bool {
        self.marks.iter().any(|mark| {
            matches!(mark, Mark::Severed(from, to) if record.began < *to && record.ended >= *from)
        })
    }

    /// Whether it was open while no replica served, or this long after, and ended
    /// soon: a client that could be served again must not wait for ever.
    fn was_down(&self, record: &Record, grace: Duration) -> bool {
        let mut since = None;
        for mark in &self.marks {
            match mark {
                Mark::AllDown(at) => since = Some(*at),
                Mark::Up(at) => {
                    let from = since.take();
                    let again = *at + grace;
                    let meanwhile = |from| record.ended >= from && record.began < again;
                    if from.is_some_and(meanwhile) && record.ended < again + SOON {
                        return true;
                    }
                }
                Mark::Severed(..) => {}
            }
        }
        since.is_some_and(|from| record.ended >= from)
    }
}

impl Tally {
    pub(super) fn of(load: &Load, marks: &Marks, expected: Expected) -> Self {
        let mut tally = Self {
            connections: load.records.len() as u64,
            withheld: load.withheld,
            late: millis(load.late),
            ..Self::default()
        };
        for record in &load.records {
            let errors = match record.outcome {
                Outcome::Ok => {
                    let since = marks.began.is_some_and(|began| record.began >= began);
                    tally.served_since += u64::from(since);
                    let wait = record.first_byte.map_or(0, millis);
                    if !marks.severed(record) {
                        tally.worst_wait = tally.worst_wait.max(wait);
                    }
                    continue;
                }
                Outcome::Harness => {
                    tally.harness += 1;
                    continue;
                }
                // Nothing makes up for bytes that were never sent, and a balancer that
                // listens refuses nobody, whatever its replicas do.
                Outcome::WrongBytes | Outcome::Refused => &mut tally.errors,
                _ => match expected {
                    Expected::NoErrorOnce(_, ms)
                        if marks.was_down(record, Duration::from_millis(ms)) =>
                    {
                        &mut tally.down
                    }
                    _ if marks.severed(record) => &mut tally.severed,
                    _ => &mut tally.errors,
                },
            };
            *errors.entry(record.outcome).or_default() += 1;
        }
        tally
    }

    /// Whether it says something of the balancer: its clients could all do what they
    /// should, and some were served once the event had begun.
    pub(crate) fn is_sound(&self) -> bool {
        self.harness == 0 && self.withheld == 0 && self.served_since > 0
    }

    /// How many errors a balancer could have prevented.
    pub(crate) fn unexcused(&self) -> u64 {
        self.errors.values().sum()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// One more attempt to connect, and what it takes to say so on a busy machine.
const SOON: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::{Duration, Expected, Instant, Load, Mark, Marks, Outcome, Record, Tally};

    /// What becomes of a client of such a time, in milliseconds, when a replica is cut
    /// at 1000 and none serves from 2000 to 2100.
    fn errors(outcome: Outcome, began: u64, ended: u64) -> [usize; 3] {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut marks = Marks::default();
        marks.put(Mark::Severed(at(1000), at(1010)));
        marks.put(Mark::AllDown(at(2000)));
        marks.put(Mark::Up(at(2100)));
        let record = Record {
            began: at(began),
            first_byte: None,
            ended: at(ended),
            outcome,
        };
        let load = Load {
            records: vec![record],
            ..Load::default()
        };
        let tally = Tally::of(&load, &marks, Expected::NoErrorOnce("", 500));
        [&tally.errors, &tally.severed, &tally.down].map(|errors| errors.len())
    }

    #[test]
    fn errors_are_a_balancers_own_but_where_it_could_do_nothing() {
        use Outcome::{Refused, Reset, Timeout, WrongBytes};
        let (own, severed, down) = ([1, 0, 0], [0, 1, 0], [0, 0, 1]);
        let cases = [
            ("nothing had happened", Reset, 0, 900, own),
            (
                "it was on a replica that was cut",
                Reset,
                900,
                1100,
                severed,
            ),
            ("no bytes but the right ones", WrongBytes, 900, 1100, own),
            ("the balancer listens", Refused, 900, 1100, own),
            ("none served", Reset, 2050, 2060, down),
            ("none had been seen to serve yet", Reset, 2500, 2700, down),
            ("one served again", Reset, 2700, 2800, own),
            ("it could have been served soon", Timeout, 2050, 12_050, own),
            ("the balancer listens then too", Refused, 2050, 2060, own),
        ];
        for (why, outcome, began, ended, expected) in cases {
            assert_eq!(errors(outcome, began, ended), expected, "{why}");
        }
    }
}

//! When each check of a replica is due, and which probes are under way.

use super::probe_request::ProbeId;
use crate::config::Health;
use crate::random::Random;
use crate::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The schedule of all watched checks, by number.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    health: Health,
    rounds: Vec<Round>,
    /// Checks whose probe is not under way, the next one due first.
    waiting: BTreeSet<(Moment, usize)>,
    /// The oldest probe first.
    under_way: BTreeMap<ProbeId, usize>,
    last: u64,
}

/// When a check is due next, or the probe that is under way.
#[derive(Clone, Copy, Debug)]
struct Round {
    due: Moment,
    sent: Option<Sent>,
}

/// A probe under way.
#[derive(Clone, Copy, Debug)]
struct Sent {
    probe: ProbeId,
    at: Moment,
    /// What the interval to the next probe is multiplied with.
    stretch: f64,
}

/// A probe that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) number: usize,
    pub(crate) latency: Duration,
    sent: Sent,
}

impl Schedule {
    /// The schedule of as many checks; nothing is due before [`Schedule::start`].
    pub(crate) fn new(health: Health, size: usize) -> Schedule {
        let mut schedule = Schedule {
            health,
            rounds: Vec::new(),
            waiting: BTreeSet::new(),
            under_way: BTreeMap::new(),
            last: 0,
        };
        schedule.configure(health, size);
        schedule
    }

    /// Other checks as of now. Probes under way are no longer waited for.
    pub(crate) fn configure(&mut self, health: Health, size: usize) {
        let round = Round {
            due: Moment::START,
            sent: None,
        };
        self.health = health;
        self.rounds = vec![round; size];
        self.stop();
    }

    /// Begins: all are due at once when they are few, else spread over an interval.
    pub(crate) fn start(&mut self, now: Moment) {
        let interval = Duration::from_millis(self.health.interval_ms);
        let size = self.rounds.len();
        for (number, round) in self.rounds.iter_mut().enumerate() {
            let wait = if size <= ALL_AT_ONCE {
                Duration::ZERO
            } else {
                let share = interval.saturating_mul(number as u32);
                share.checked_div(size as u32).unwrap_or_default()
            };
            *round = Round {
                due: now.plus(wait),
                sent: None,
            };
        }
        self.stop();
    }

    /// Gives up all probes under way: another VM probes now.
    pub(crate) fn stop(&mut self) {
        self.under_way.clear();
        for round in &mut self.rounds {
            round.sent = None;
        }
        let rounds = self.rounds.iter().enumerate();
        self.waiting = rounds.map(|(number, round)| (round.due, number)).collect();
    }

    /// How many probes are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// The checks that are due, counted as sent; no more than may be under way.
    /// `skips` says which are not to be probed.
    pub(crate) fn take_due(
        &mut self,
        now: Moment,
        random: &mut Random,
        skips: impl Fn(usize) -> bool,
    ) -> Vec<(ProbeId, usize)> {
        let room = MOST_UNDER_WAY.saturating_sub(self.under_way.len());
        // The longest overdue come first.
        let due = self.waiting.iter().take_while(|(due, _)| *due <= now);
        let due = due.filter(|(_, number)| !skips(*number));
        let due: Vec<(Moment, usize)> = due.copied().take(room).collect();
        let mut probes = Vec::with_capacity(due.len());
        for waiting in due {
            let (_, number) = waiting;
            let Some(round) = self.rounds.get_mut(number) else {
                continue;
            };
            self.waiting.remove(&waiting);
            self.last = self.last.saturating_add(1);
            let probe = ProbeId(self.last);
            let jitter = self.health.jitter.clamp(0.0, 1.0);
            let stretch = 1.0 + jitter * (2.0 * random.unit() - 1.0);
            let at = now;
            round.sent = Some(Sent { probe, at, stretch });
            self.under_way.insert(probe, number);
            probes.push((probe, number));
        }
        probes
    }

    /// The check that a probe under way belongs to.
    pub(crate) fn number_of(&self, probe: ProbeId) -> Option<usize> {
        self.under_way.get(&probe).copied()
    }

    /// A probe is over; `None` when it is not under way. [`Schedule::plan_next`] is
    /// to follow, or its check is not due again.
    pub(crate) fn finish(&mut self, probe: ProbeId, now: Moment) -> Option<Finished> {
        let number = self.under_way.remove(&probe)?;
        let sent = self.rounds.get_mut(number)?.sent.take()?;
        Some(Finished {
            number,
            latency: now.since(sent.at),
            sent,
        })
    }

    /// Plans the next probe of a check: an interval, with jitter, after the one that
    /// is over was sent, so that slow answers don't slow the rhythm.
    pub(crate) fn plan_next(&mut self, finished: Finished, interval: Duration) {
        let stretch = finished.sent.stretch.clamp(0.0, 2.0);
        if let Some(round) = self.rounds.get_mut(finished.number) {
            round.due = finished.sent.at.plus(interval.mul_f64(stretch));
            self.waiting.insert((round.due, finished.number));
        }
    }

    /// A probe was never asked: it is due again soon, as while a change is pending.
    pub(crate) fn ask_again(&mut self, probe: ProbeId, now: Moment) {
        let interval = Duration::from_millis(self.health.fast_interval_ms);
        if let Some(finished) = self.finish(probe, now) {
            self.plan_next(finished, interval);
        }
    }

    /// Whether a probe has been under way for about as long as it may: a busy host
    /// counts from when it woke up, before it handed the request over.
    pub(crate) fn is_late(&self, probe: ProbeId, now: Moment) -> bool {
        let timeout = Duration::from_millis(self.health.timeout_ms) * 3 / 4;
        let round = self.number_of(probe).and_then(|it| self.rounds.get(it));
        let sent = round.and_then(|round| round.sent);
        sent.is_some_and(|sent| now.since(sent.at) >= timeout)
    }

    /// Probes whose answer got lost.
    pub(crate) fn lost(&self, now: Moment) -> Vec<ProbeId> {
        let timeout = self.timeout();
        self.sent()
            .take_while(|sent| now.since(sent.at) >= timeout)
            .map(|sent| sent.probe)
            .collect()
    }

    /// When something is due: a probe, or giving one up. Of many checks those due at about
    /// the same time are left to one wake, as each takes its time.
    pub(crate) fn next_wake(&self, skips: impl Fn(usize) -> bool) -> Option<Moment> {
        let lost = self.sent().next().map(|sent| sent.at.plus(self.timeout()));
        let has_room = self.under_way.len() < MOST_UNDER_WAY;
        let mut waiting = self.waiting.iter().filter(|(_, number)| !skips(*number));
        let due = has_room.then(|| waiting.next()).flatten();
        let patience = match self.rounds.len() {
            ..=ALL_AT_ONCE => Duration::ZERO,
            _ => Duration::from_millis(self.health.interval_ms) / PATIENCE,
        };
        let due = due.map(|(due, _)| due.plus(patience));
        lost.into_iter().chain(due).min()
    }

    /// The probes under way, the oldest first.
    fn sent(&self) -> impl Iterator<Item = Sent> {
        let numbers = self.under_way.values();
        numbers.filter_map(|number| self.rounds.get(*number)?.sent)
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.health.timeout_ms).saturating_add(GRACE)
    }
}

/// No more probes than this are under way at once.
const MOST_UNDER_WAY: usize = 128;

/// The host's own timeout comes first; this much later the answer is given up,
/// so that one that got lost keeps no replica from being probed again.
const GRACE: Duration = Duration::from_millis(250);

/// Of many checks a probe may be late by this part of an interval: 15 ms of 2 s.
const PATIENCE: u32 = 128;

/// Up to this many checks all are due at once at the start.
const ALL_AT_ONCE: usize = 32;

#[cfg(test)]
mod tests;

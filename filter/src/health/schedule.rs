//! When each replica is asked what, and which requests are under way.

use crate::balance::replica::ReplicaId;
use crate::config::Config;
use crate::health::check_state::{Asked, CheckState, Round, Rules};
use crate::health::probe_response::ProbeFailure;
use crate::health::verdict::Verdict;
use crate::random::Random;
use crate::time::Moment;
use std::collections::HashMap;
use std::time::Duration;

/// A request's number; never used twice by a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeId(pub u64);

/// One replica under one check.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) replica: ReplicaId,
    /// The check's number in the configuration.
    pub(crate) check: usize,
    pub(crate) state: CheckState,
    round: Round,
}

/// All replicas under all checks.
#[derive(Clone, Debug)]
pub(crate) struct Probes {
    pub(crate) watches: Vec<Watch>,
    under_way: HashMap<ProbeId, usize>,
    asked: u64,
    pub(crate) rules: Rules,
}

/// More requests than this are not under way at once.
pub(crate) const MOST_UNDER_WAY: usize = 128;

/// The host's own timeout comes first; this much later the answer is given up,
/// so that one that got lost keeps no replica from being asked again.
const GRACE: Duration = Duration::from_millis(250);

/// Up to so many replicas and checks, all are asked at once at the start.
const SMALL: usize = 32;

impl Probes {
    pub(crate) fn new(config: &Config) -> Probes {
        let rules = Rules {
            health: config.health,
            remembered: 0,
        };
        let mut probes = Probes {
            watches: Vec::new(),
            under_way: HashMap::new(),
            asked: 0,
            rules,
        };
        probes.configure(config, &[], |_, _| None, 0);
        probes
    }

    /// Watches these replicas from now on; `known` gives what is known of a replica
    /// and a check by their numbers. Answers under way are no longer waited for.
    pub(crate) fn configure(
        &mut self,
        config: &Config,
        ring: &[ReplicaId],
        known: impl Fn(ReplicaId, usize) -> Option<CheckState>,
        unix_ms: u64,
    ) {
        let size = ring.len().saturating_mul(config.checks.len());
        // Some minutes of a small pool; of a large one what its memory allows.
        let remembered = if size <= 64 { 60 } else { 10 };
        self.rules = Rules {
            health: config.health,
            remembered,
        };
        self.under_way.clear();
        self.watches.clear();
        for replica in ring {
            for check in 0..config.checks.len() {
                let fresh = || CheckState::before_any_answer(config.health.start, unix_ms);
                let state = known(*replica, check).unwrap_or_else(fresh);
                let round = Round {
                    due: Moment::START,
                    asked: None,
                };
                self.watches.push(Watch {
                    replica: *replica,
                    check,
                    state,
                    round,
                });
            }
        }
    }

    /// Begins to ask: all at once when they are few, else spread over an interval.
    pub(crate) fn start(&mut self, now: Moment) {
        self.under_way.clear();
        let interval = Duration::from_millis(self.rules.health.interval_ms);
        let size = self.watches.len() as u32;
        for (number, watch) in self.watches.iter_mut().enumerate() {
            let share = interval
                .saturating_mul(number as u32)
                .checked_div(size)
                .unwrap_or_default();
            let wait = if size as usize <= SMALL {
                Duration::ZERO
            } else {
                share
            };
            watch.round = Round {
                due: now.plus(wait),
                asked: None,
            };
        }
    }

    /// Gives up all that is under way: another VM asks now.
    pub(crate) fn stop(&mut self) {
        self.under_way.clear();
        for watch in &mut self.watches {
            watch.round.asked = None;
        }
    }

    /// How many requests are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// The next request that is due, taken as asked; none beyond the bound.
    /// `skips` says which replicas are not to be asked.
    pub(crate) fn ask(
        &mut self,
        now: Moment,
        random: &mut Random,
        skips: impl Fn(ReplicaId) -> bool,
    ) -> Vec<(ProbeId, ReplicaId, usize)> {
        let room = MOST_UNDER_WAY.saturating_sub(self.under_way.len());
        let mut due: Vec<(Moment, usize)> = Vec::new();
        for (number, watch) in self.watches.iter().enumerate() {
            if watch.round.asked.is_none() && watch.round.due <= now && !skips(watch.replica) {
                due.push((watch.round.due, number));
            }
        }
        // Who has waited longest comes first.
        due.sort_unstable();
        let mut requests = Vec::new();
        for (_, number) in due.into_iter().take(room) {
            let Some(watch) = self.watches.get_mut(number) else {
                continue;
            };
            self.asked = self.asked.saturating_add(1);
            let probe = ProbeId(self.asked);
            let jitter = self.rules.health.jitter.clamp(0.0, 1.0);
            let stretch = 1.0 + jitter * (2.0 * random.unit() - 1.0);
            watch.round.asked = Some(Asked {
                probe,
                at: now,
                stretch,
            });
            self.under_way.insert(probe, number);
            requests.push((probe, watch.replica, watch.check));
        }
        requests
    }

    /// Takes in the answer to a request: which watch it was, and what changed of
    /// its verdict. `None` when nobody waits for it any more.
    pub(crate) fn answered(
        &mut self,
        probe: ProbeId,
        outcome: Result<(), ProbeFailure>,
        now: Moment,
        unix_ms: u64,
    ) -> Option<(&Watch, Option<Verdict>)> {
        let number = self.under_way.remove(&probe)?;
        let watch = self.watches.get_mut(number)?;
        let asked = watch.round.asked.take()?;
        let change = watch
            .state
            .take(outcome, now.since(asked.at), &self.rules, unix_ms);
        // From request to request, so that slow answers don't slow the rhythm.
        let interval = watch.state.interval(&self.rules.health);
        watch.round.due = asked
            .at
            .plus(interval.mul_f64(asked.stretch.clamp(0.0, 2.0)));
        Some((watch, change))
    }

    /// Whose request this is; `None` when nobody waits for its answer.
    pub(crate) fn watch_of(&self, probe: ProbeId) -> Option<&Watch> {
        self.watches.get(*self.under_way.get(&probe)?)
    }

    /// Whether a request has been under way for about as long as it may: a busy
    /// host counts from when it woke up, before it handed the request over.
    pub(crate) fn is_late(&self, probe: ProbeId, now: Moment) -> bool {
        let timeout = Duration::from_millis(self.rules.health.timeout_ms) * 3 / 4;
        let asked = self.watch_of(probe).and_then(|watch| watch.round.asked);
        asked.is_some_and(|asked| now.since(asked.at) >= timeout)
    }

    /// Questions whose answer got lost.
    pub(crate) fn lost(&self, now: Moment) -> Vec<ProbeId> {
        let timeout = self.timeout();
        let asked = self.watches.iter().filter_map(|watch| watch.round.asked);
        asked
            .filter(|asked| now.since(asked.at) >= timeout)
            .map(|asked| asked.probe)
            .collect()
    }

    /// When something is due: a request, or giving one up.
    pub(crate) fn next_wake(&self, skips: impl Fn(ReplicaId) -> bool) -> Option<Moment> {
        let timeout = self.timeout();
        let has_room = self.under_way.len() < MOST_UNDER_WAY;
        let wakes = self
            .watches
            .iter()
            .filter_map(|watch| match watch.round.asked {
                Some(asked) => Some(asked.at.plus(timeout)),
                None if has_room && !skips(watch.replica) => Some(watch.round.due),
                None => None,
            });
        wakes.min()
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.rules.health.timeout_ms).saturating_add(GRACE)
    }
}

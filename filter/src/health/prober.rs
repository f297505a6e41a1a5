//! Probes the replicas and judges them by their answers: owns the schedule and the
//! state of each check.

use super::check_state::{CheckState, Rules};
use super::probe_failure::ProbeFailure;
use super::probe_request::{self, ProbeId, ProbeRequest};
use super::probe_response::ProbeResponse;
use super::reason::Reason;
use super::schedule::Schedule;
use super::verdict::Verdict;
use super::watch::{Change, Detail, Watch, WatchKey};
use crate::balance::replica::ReplicaId;
use crate::config::{Check, Config};
use crate::contract::metric_name;
use crate::effect::{Effect, Effects};
use crate::random::Random;
use crate::time::{Moment, Reading};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// All replicas under all checks.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    checks: Vec<Check>,
    /// By check.
    constants: Vec<Constants>,
    rules: Rules,
    watches: Vec<Watch>,
    schedule: Schedule,
}

/// What is the same for each probe of a check.
#[derive(Clone, Debug)]
struct Constants {
    /// The request's headers.
    headers: Arc<[(String, String)]>,
    /// The last response that was that of a healthy replica: another one like it is
    /// one, too.
    healthy: Option<ProbeResponse>,
}

impl Constants {
    fn of(check: &Check, fqdn: &str) -> Constants {
        Constants {
            headers: probe_request::headers(&check.kind, fqdn).into(),
            healthy: None,
        }
    }
}

impl Prober {
    /// Watches these replicas; nothing is sent before [`Prober::start`].
    pub(crate) fn new(config: &Config, replicas: &[ReplicaId], unix_ms: u64) -> Prober {
        let rules = Rules {
            health: config.health,
            remembered: 0,
        };
        let mut prober = Prober {
            checks: Vec::new(),
            constants: Vec::new(),
            rules,
            watches: Vec::new(),
            schedule: Schedule::new(config.health, 0),
        };
        prober.configure(config, replicas, unix_ms);
        prober
    }

    /// Watches these replicas, the configuration's, from now on. What is known of a
    /// replica and a check is kept by their names; answers to probes under way are
    /// no longer waited for.
    pub(crate) fn configure(&mut self, config: &Config, replicas: &[ReplicaId], unix_ms: u64) {
        let known = self.details();
        let size = replicas.len().saturating_mul(config.checks.len());
        // Some minutes of a small pool; of a large one what its memory allows.
        let remembered = if size <= 64 { 60 } else { 10 };
        let constants = |check| Constants::of(check, &config.fqdn);
        self.constants = config.checks.iter().map(constants).collect();
        self.checks.clone_from(&config.checks);
        self.rules = Rules {
            health: config.health,
            remembered,
        };
        self.schedule.configure(config.health, size);
        self.watches.clear();
        for (id, replica) in replicas.iter().zip(&config.replicas) {
            for (number, check) in config.checks.iter().enumerate() {
                let state = CheckState::before_any_answer(config.health.start, unix_ms);
                let check = (number, check.name.as_str());
                let cluster = config.cluster_names.probe(check.1, &replica.name);
                self.watches
                    .push(Watch::new((*id, replica), check, cluster, state));
            }
        }
        self.learn(known);
    }

    /// Begins to probe.
    pub(crate) fn start(&mut self, now: Moment) {
        self.schedule.start(now);
    }

    /// Gives up all probes under way: another VM probes now.
    pub(crate) fn stop(&mut self) {
        self.schedule.stop();
    }

    /// How many probes are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.schedule.under_way()
    }

    /// When a probe is due, or to be given up. `skips` says which replicas are not
    /// to be probed.
    pub(crate) fn next_wake(&self, skips: impl Fn(ReplicaId) -> bool) -> Option<Moment> {
        self.schedule
            .next_wake(|number| self.is_skipped(number, &skips))
    }

    /// Sends the probes that are due.
    pub(crate) fn probe(
        &mut self,
        now: Moment,
        random: &mut Random,
        skips: impl Fn(ReplicaId) -> bool,
        effects: &mut Effects,
    ) {
        let watches = &self.watches;
        let is_skipped = |number: usize| watches.get(number).is_none_or(|it| skips(it.replica));
        for (probe, number) in self.schedule.take_due(now, random, is_skipped) {
            let watch = self.watches.get(number);
            let constants = watch.and_then(|watch| self.constants.get(watch.check));
            if let (Some(watch), Some(constants)) = (watch, constants) {
                effects.push(Effect::Probe(ProbeRequest {
                    probe,
                    cluster: watch.cluster.clone(),
                    headers: Arc::clone(&constants.headers),
                    timeout: Duration::from_millis(self.rules.health.timeout_ms),
                }));
            }
        }
    }

    /// Takes in a response; the change of the verdict it leads to, if any. One that
    /// is not waited for is ignored.
    pub(crate) fn answered(
        &mut self,
        probe: ProbeId,
        response: &ProbeResponse,
        now: Reading,
        effects: &mut Effects,
    ) -> Option<Change> {
        let check = self.watches.get(self.schedule.number_of(probe)?)?.check;
        if response.is_not_asked() {
            self.schedule.ask_again(probe, now.moment);
            return None;
        }
        let mut outcome = self.judge(check, response)?;
        if response.status == 0 && self.schedule.is_late(probe, now.moment) {
            outcome = outcome.map_err(|failure| ProbeFailure {
                reason: Reason::Timeout,
                ..failure
            });
        }
        self.take(probe, outcome, now, effects)
    }

    /// A probe could not be sent.
    pub(crate) fn not_sent(
        &mut self,
        probe: ProbeId,
        now: Reading,
        effects: &mut Effects,
    ) -> Option<Change> {
        let text = "the proxy has no address for it, or no such cluster";
        let failure = ProbeFailure::new(Reason::NoAddress, text);
        self.take(probe, Err(failure), now, effects)
    }

    /// What is known of a replica is old: its next answer to each check decides.
    pub(crate) fn unsettle(&mut self, replica: ReplicaId) {
        let watches = self.watches.iter_mut();
        for watch in watches.filter(|watch| watch.replica == replica) {
            watch.state.health.unsettle();
        }
    }

    /// Gives up the probes whose answer got lost.
    pub(crate) fn expire(&mut self, now: Reading, effects: &mut Effects) -> Vec<Change> {
        let lost = self.schedule.lost(now.moment).into_iter();
        lost.filter_map(|probe| {
            let failure = ProbeFailure::new(Reason::Timeout, "the answer got lost");
            self.take(probe, Err(failure), now, effects)
        })
        .collect()
    }

    /// All that is watched.
    pub(crate) fn watches(&self) -> &[Watch] {
        &self.watches
    }

    /// What is watched of one replica.
    pub(crate) fn of(&self, replica: ReplicaId) -> impl Iterator<Item = &Watch> {
        let watches = self.watches.iter();
        watches.filter(move |watch| watch.replica == replica)
    }

    /// The verdicts, for other VMs.
    pub(crate) fn verdicts(&self) -> Vec<(WatchKey, Verdict)> {
        let verdict = |watch: &Watch| (watch.key, watch.state.health.verdict);
        self.watches.iter().map(verdict).collect()
    }

    /// What verdicts of another VM say of the replicas watched here.
    pub(crate) fn read(&self, verdicts: &HashMap<WatchKey, Verdict>) -> Vec<Change> {
        let known = |watch: &Watch| {
            Some(Change {
                verdict: *verdicts.get(&watch.key)?,
                ..watch.verdict()
            })
        };
        self.watches.iter().filter_map(known).collect()
    }

    /// What is known of each replica's health, for other VMs.
    pub(crate) fn details(&self) -> Vec<Detail> {
        let detail = |watch: &Watch| {
            Some(Detail {
                replica: watch.name.clone(),
                check: self.checks.get(watch.check)?.name.clone(),
                state: watch.state.clone(),
            })
        };
        self.watches.iter().filter_map(detail).collect()
    }

    /// Takes in what another VM knows.
    pub(crate) fn learn(&mut self, details: Vec<Detail>) {
        let mut details = VecDeque::from(details);
        for watch in &mut self.watches {
            let Some(check) = self.checks.get(watch.check) else {
                continue;
            };
            let is_its = |it: &Detail| it.replica == watch.name && it.check == check.name;
            // Nearly always the first: other VMs watch the same in the same order.
            let at = details.iter().position(is_its);
            if let Some(detail) = at.and_then(|at| details.swap_remove_front(at)) {
                watch.state = detail.state;
            }
        }
    }

    /// Goes on where another VM stopped, with what it left. All verdicts as of now.
    pub(crate) fn take_over(
        &mut self,
        details: Vec<Detail>,
        verdicts: &HashMap<WatchKey, Verdict>,
        now: Moment,
    ) -> Vec<Change> {
        self.schedule.start(now);
        self.adopt(details, verdicts)
    }

    /// Gives up all probes under way, and what was found out here and not announced:
    /// another VM probes now, and what it found is newer. All verdicts as of now.
    pub(crate) fn leave(
        &mut self,
        details: Vec<Detail>,
        verdicts: &HashMap<WatchKey, Verdict>,
    ) -> Vec<Change> {
        self.schedule.stop();
        self.adopt(details, verdicts)
    }

    /// Takes in what another VM knew, and the verdicts it announced, which are newer
    /// than the details may be.
    fn adopt(
        &mut self,
        details: Vec<Detail>,
        verdicts: &HashMap<WatchKey, Verdict>,
    ) -> Vec<Change> {
        self.learn(details);
        for watch in &mut self.watches {
            if let Some(verdict) = verdicts.get(&watch.key) {
                let health = &mut watch.state.health;
                health.settled |= health.verdict != *verdict;
                health.verdict = *verdict;
            }
        }
        self.watches.iter().map(Watch::verdict).collect()
    }

    /// Judges a response to a check, by its number.
    fn judge(
        &mut self,
        check: usize,
        response: &ProbeResponse,
    ) -> Option<Result<(), ProbeFailure>> {
        let healthy = &mut self.constants.get_mut(check)?.healthy;
        if healthy.as_ref() == Some(response) {
            return Some(Ok(()));
        }
        let outcome = response.judge(&self.checks.get(check)?.kind);
        if outcome.is_ok() && response.body.len() <= REMEMBERED_BODY {
            *healthy = Some(response.clone());
        }
        Some(outcome)
    }

    fn is_skipped(&self, number: usize, skips: impl Fn(ReplicaId) -> bool) -> bool {
        let watch = self.watches.get(number);
        watch.is_none_or(|watch| skips(watch.replica))
    }

    /// Takes in what a probe came to.
    fn take(
        &mut self,
        probe: ProbeId,
        outcome: Result<(), ProbeFailure>,
        now: Reading,
        effects: &mut Effects,
    ) -> Option<Change> {
        let finished = self.schedule.finish(probe, now.moment)?;
        let watch = self.watches.get_mut(finished.number)?;
        watch.count(&outcome, finished.latency, effects);
        let since_unix_ms = watch.state.since_unix_ms;
        let change = watch
            .state
            .take(outcome, finished.latency, &self.rules, now.unix_ms);
        let interval = watch.state.interval(&self.rules.health);
        self.schedule.plan_next(finished, interval);
        change?;
        effects.count(metric_name::replica(&watch.name, metric_name::CHANGES), 1);
        let check = self.checks.get(watch.check);
        let check = check.map_or("", |check| check.name.as_str());
        let lasted_ms = now.unix_ms.saturating_sub(since_unix_ms);
        watch.log(check, lasted_ms, effects);
        Some(watch.verdict())
    }
}

/// A longer body is not kept to be compared with others, in bytes.
const REMEMBERED_BODY: usize = 1024;

#[cfg(test)]
mod tests;

//! Asks every replica now and then what is compared, and remembers what it said.

use super::changes;
use super::clock::{self, skews_ms};
use super::comparison::compare;
use super::disagreement::Disagreement;
use super::inspection::{InspectionId, InspectionRequest};
use super::observation::{Observation, Observed};
use crate::balance::replica::ReplicaId;
use crate::config::{CheckKind, Config};
use crate::contract::ClusterNames;
use crate::effect::{Effect, Effects};
use crate::health::probe_request;
use crate::time::{Moment, Reading};
use std::collections::VecDeque;
use std::time::Duration;

/// All replicas, and what their answers revealed.
#[derive(Clone, Debug)]
pub(crate) struct Inspector {
    fqdn: String,
    plan: Option<Plan>,
    replicas: Vec<Inspected>,
    /// Not asked yet in this round, by their place among the replicas.
    queue: VecDeque<usize>,
    under_way: Vec<(InspectionId, UnderWay)>,
    /// Whether a round has begun whose outcome is not known yet.
    is_round_open: bool,
    /// When the next round begins; `None`: another VM asks.
    due: Option<Moment>,
    /// What was found at the end of the last round, and so is logged no more.
    known: Vec<Disagreement>,
    outcome: Outcome,
    last: u64,
}

/// What is asked, and when.
#[derive(Clone, Debug)]
struct Plan {
    check: String,
    cluster_names: ClusterNames,
    headers: Vec<(String, String)>,
    interval: Duration,
    timeout: Duration,
}

#[derive(Clone, Debug)]
struct Inspected {
    id: ReplicaId,
    name: String,
    observation: Option<Observation>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    number: usize,
    sent: Reading,
}

/// Whether a round has ended whose outcome the other VMs do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Shared,
    ToBeShared,
}

impl Inspector {
    /// Nothing is asked before [`Inspector::start`].
    pub(crate) fn new(config: &Config, replicas: &[ReplicaId]) -> Inspector {
        let mut inspector = Inspector {
            fqdn: String::new(),
            plan: None,
            replicas: Vec::new(),
            queue: VecDeque::new(),
            under_way: Vec::new(),
            is_round_open: false,
            due: None,
            known: Vec::new(),
            outcome: Outcome::Shared,
            last: 0,
        };
        inspector.configure(config, replicas);
        inspector
    }

    /// Asks these replicas, the configuration's, from now on. What is known of a
    /// replica is kept by its name.
    pub(crate) fn configure(&mut self, config: &Config, replicas: &[ReplicaId]) {
        let known = self.observations();
        self.fqdn.clone_from(&config.fqdn);
        self.plan = Plan::of(config);
        let listed = replicas.iter().zip(&config.replicas);
        self.replicas = listed
            .map(|(id, replica)| Inspected {
                id: *id,
                name: replica.name.clone(),
                observation: None,
            })
            .collect();
        self.break_off();
        self.learn(known);
    }

    /// Begins to ask. The replicas' health comes first.
    pub(crate) fn start(&mut self, now: Moment) {
        self.break_off();
        let first = |plan: &Plan| now.plus(plan.interval / FIRST_ROUND);
        self.due = self.plan.as_ref().map(first);
    }

    /// Leaves it to another VM.
    pub(crate) fn stop(&mut self) {
        self.break_off();
        self.due = None;
    }

    /// Goes on where another VM stopped; what that one found has been logged.
    pub(crate) fn take_over(&mut self, observations: Vec<(String, Observation)>, now: Reading) {
        self.learn(observations);
        self.known = self.disagreements(now.unix_ms);
        self.start(now.moment);
    }

    /// When there is something to do.
    pub(crate) fn next_wake(&self) -> Option<Moment> {
        let timeout = self.plan.as_ref()?.timeout.saturating_add(GRACE);
        let under_way = self.under_way.iter();
        let lost = under_way.map(|(_, it)| it.sent.moment.plus(timeout)).min();
        lost.or(self.due)
    }

    /// Asks as many as may be asked at once, when a round is due or under way. `skips`
    /// says which replicas are not to be asked.
    pub(crate) fn inspect(
        &mut self,
        now: Reading,
        skips: impl Fn(ReplicaId) -> bool,
        effects: &mut Effects,
    ) {
        let (Some(plan), Some(due)) = (&self.plan, self.due) else {
            return;
        };
        let lost = plan.timeout.saturating_add(GRACE);
        (self.under_way).retain(|(_, it)| now.moment.since(it.sent.moment) < lost);
        if !self.is_round_open {
            if now.moment < due {
                return;
            }
            self.queue = (0..self.replicas.len()).collect();
            self.is_round_open = true;
            self.due = Some(now.moment.plus(plan.interval));
        }
        while self.under_way.len() < MOST_UNDER_WAY
            && let Some(number) = self.queue.pop_front()
        {
            let Some(replica) = self.replicas.get(number).filter(|it| !skips(it.id)) else {
                continue;
            };
            self.last = self.last.saturating_add(1);
            let inspection = InspectionId(self.last);
            self.under_way
                .push((inspection, UnderWay { number, sent: now }));
            effects.push(Effect::Inspect(InspectionRequest {
                inspection,
                cluster: plan.cluster_names.probe(&plan.check, &replica.name),
                headers: plan.headers.clone(),
                timeout: plan.timeout,
            }));
        }
        self.conclude_if_over(now.unix_ms, effects);
    }

    /// Takes in the headers of an answer; none: there was no answer. The last one of a
    /// round has what is found logged, as far as it is new.
    pub(crate) fn answered(
        &mut self,
        inspection: InspectionId,
        headers: &[(&str, String)],
        now: Reading,
        effects: &mut Effects,
    ) {
        let mut inspections = self.under_way.iter();
        let Some(at) = inspections.position(|(one, _)| *one == inspection) else {
            return;
        };
        let (_, under_way) = self.under_way.swap_remove(at);
        if let Some(replica) = self.replicas.get_mut(under_way.number)
            && !headers.is_empty()
        {
            let header = |name: &str| {
                let found = headers.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| value.clone())
            };
            let observation = Observation::of(header, under_way.sent.unix_ms, now.unix_ms);
            let earlier = replica.observation.take();
            replica.observation = Some(observation.or_earlier(earlier));
        }
        self.conclude_if_over(now.unix_ms, effects);
    }

    /// What the other VMs do not know yet of the last round; `None` from then on.
    pub(crate) fn take_outcome(&mut self) -> Option<Vec<(String, Observation)>> {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Shared);
        (outcome == Outcome::ToBeShared).then(|| self.observations())
    }

    /// Takes in what another VM knows.
    pub(crate) fn learn(&mut self, observations: Vec<(String, Observation)>) {
        let mut known = VecDeque::from(observations);
        for replica in &mut self.replicas {
            // Nearly always the first: other VMs have the same replicas in the same order.
            let at = known.iter().position(|(name, _)| *name == replica.name);
            if let Some((_, observation)) = at.and_then(|at| known.swap_remove_front(at)) {
                replica.observation = Some(observation);
            }
        }
    }

    /// What the replicas disagree about, as far as is known.
    pub(crate) fn disagreements(&self, unix_ms: u64) -> Vec<Disagreement> {
        compare(&self.fqdn, &self.observed(), unix_ms)
    }

    /// What one replica revealed.
    pub(crate) fn of(&self, id: ReplicaId) -> Option<&Observation> {
        let mut replicas = self.replicas.iter();
        replicas.find(|it| it.id == id)?.observation.as_ref()
    }

    /// How far each replica's clock is ahead of the others', in milliseconds; those of
    /// which nothing is known are left out.
    pub(crate) fn skews_ms(&self) -> Vec<(ReplicaId, i64)> {
        let observed = (self.replicas.iter()).filter(|it| it.observation.is_some());
        let skews = observed.zip(skews_ms(&self.observed()));
        skews
            .filter_map(|(replica, skew)| Some((replica.id, skew?)))
            .collect()
    }

    fn observed(&self) -> Vec<Observed<'_>> {
        let replicas = self.replicas.iter();
        replicas
            .filter_map(|it| Some((it.name.as_str(), it.observation.as_ref()?)))
            .collect()
    }

    fn observations(&self) -> Vec<(String, Observation)> {
        let observed = self.observed().into_iter();
        observed
            .map(|(name, observation)| (name.to_owned(), observation.clone()))
            .collect()
    }

    /// Asks nobody any more in this round, whose outcome nobody will know.
    fn break_off(&mut self) {
        self.queue.clear();
        self.under_way.clear();
        self.is_round_open = false;
    }

    /// Ends a round of which nothing is left to ask or to wait for.
    fn conclude_if_over(&mut self, unix_ms: u64, effects: &mut Effects) {
        if self.is_round_open && self.queue.is_empty() && self.under_way.is_empty() {
            self.is_round_open = false;
            self.conclude(unix_ms, effects);
        }
    }

    /// Logs what has changed.
    fn conclude(&mut self, unix_ms: u64, effects: &mut Effects) {
        let mut found = self.disagreements(unix_ms);
        found.extend(clock::not_yet_right(&self.observed(), &self.known, &found));
        changes::log(&self.known, &found, effects);
        self.known = found;
        self.outcome = Outcome::ToBeShared;
    }
}

impl Plan {
    fn of(config: &Config) -> Option<Plan> {
        let compare = config.compare.as_ref()?;
        let mut checks = config.checks.iter();
        let check = checks.find(|check| check.name == compare.check)?;
        let mut kind = check.kind.clone();
        if let CheckKind::Http { path, .. } = &mut kind {
            path.clone_from(&compare.path);
        }
        Some(Plan {
            check: check.name.clone(),
            cluster_names: config.cluster_names.clone(),
            headers: probe_request::headers(&kind, &config.fqdn),
            interval: Duration::from_millis(compare.interval_ms),
            timeout: Duration::from_millis(config.health.timeout_ms),
        })
    }
}

/// The first round begins after this part of an interval: 5 s of a minute.
const FIRST_ROUND: u32 = 12;

/// No more inspections than this are under way at once.
const MOST_UNDER_WAY: usize = 32;

/// The host's own timeout comes first; this much later the answer got lost.
const GRACE: Duration = Duration::from_millis(250);

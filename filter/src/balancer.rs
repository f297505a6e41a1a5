//! The balancer: facts and the time go in, effects come out.
//!
//! Nothing here reads a clock, opens a socket or writes a log. What the VMs of a
//! process share goes through a [`Store`](crate::board::Store) that the caller
//! hands in; see [`Balancer::exchange`].

use crate::answer::{self, Finding, Reply};
use crate::config::{Config, OnDown, Policy};
use crate::exchange::{Detail, Member};
use crate::metric::{self, Metrics, Report};
use crate::moment::Moment;
use crate::passive::Hold;
use crate::pool::{ListenerId, Pool, Refusal};
use crate::probe::{ProbeId, Probes};
use crate::question::Question;
use crate::random::Random;
use crate::reason::Reason;
use crate::replica::{Order, ReplicaId};
use crate::route::Route;
use crate::session::{Landed, Landing, Session, Sessions, StreamId};
use crate::verdict::Verdict;
use std::collections::VecDeque;
use std::time::Duration;

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<'a> {
    /// Time went by.
    Tick,
    /// A probe was answered, by the replica or in its stead.
    Answered(ProbeId, Reply),
    /// A probe could not even be sent.
    NotSent(ProbeId),
    /// A connection got this far.
    Landed(StreamId, Landing<'a>),
    /// The route a connection was given could not be set: the proxy chooses.
    NotSteered(StreamId),
    /// A connection is over; what became of it in the end.
    Closed(StreamId, Landing<'a>),
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask a replica.
    Ask(Question),
    /// Find out where a connection went.
    Locate(StreamId),
    /// Close a connection: its replica turned sick.
    Close(StreamId),
    /// Tell the operator.
    Log(Level, String),
    /// Tell the host's metrics.
    Report(Report),
}

/// How much the operator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warn,
}

/// What a connection gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission<'a> {
    /// This route; the first replica on it is the chosen one.
    Steer(ReplicaId, &'a Route),
    /// Nothing.
    Refuse(Refusal),
}

/// Probes, judges and chooses, for one VM.
#[derive(Debug)]
pub struct Balancer {
    pub(crate) config: Config,
    pub(crate) pool: Pool,
    pub(crate) probes: Probes,
    pub(crate) sessions: Sessions,
    pub(crate) random: Random,
    /// What this VM is to the others of its process; known from the first exchange.
    pub(crate) member: Option<Member>,
    /// The board's version this VM has seen.
    pub(crate) version: u32,
    /// Unix milliseconds, to be shown.
    pub(crate) unix_ms: u64,
    pub(crate) news: News,
    pub(crate) beat_due: Moment,
    pub(crate) details_due: Moment,
    pub(crate) metrics: Metrics,
    pub(crate) effects: VecDeque<Effect>,
}

/// Whether there is something the other VMs have not been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    None,
    Verdicts,
}

impl Balancer {
    /// A balancer of this configuration. The seed sets jitter and random choices;
    /// two VMs should not have the same. `unix_ms` is the time to be shown.
    pub fn new(config: Config, seed: u64, unix_ms: u64) -> Balancer {
        let mut balancer = Balancer {
            pool: Pool::new(&config),
            probes: Probes::new(&config),
            sessions: Sessions::default(),
            random: Random::seeded(seed),
            member: None,
            version: 0,
            unix_ms,
            news: News::None,
            beat_due: Moment::START,
            details_due: Moment::START,
            metrics: Metrics::default(),
            effects: VecDeque::new(),
            config,
        };
        balancer.watch(&[], Moment::START);
        balancer
    }

    /// Goes on with another configuration. Replicas keep counts, orders and
    /// health by name; open sessions go on.
    pub fn configure(&mut self, config: Config, now: Moment) {
        if config == self.config {
            return;
        }
        let known = self.details();
        self.config = config;
        self.pool.configure(&self.config);
        self.watch(&known, now);
        if self.is_holder() {
            self.probes.start(now);
            self.news = News::Verdicts;
        }
        // The board may tell of replicas that are new on the list.
        self.version = 0;
    }

    /// Watches the configured replicas, going on from what is known of them.
    pub(crate) fn watch(&mut self, known: &[Detail], now: Moment) {
        let (pool, checks) = (&self.pool, &self.config.checks);
        let find = |id: ReplicaId, check: usize| {
            let (replica, check) = (pool.get(id)?, checks.get(check)?);
            let mut known = known.iter();
            let detail = known.find(|it| it.replica == replica.name && it.check == check.name)?;
            Some(detail.checkup.clone())
        };
        self.probes
            .configure(&self.config, &self.pool.ring, find, self.unix_ms);
        for replica in &mut self.pool.replicas {
            replica.verdicts = vec![Verdict::Healthy; self.config.checks.len()];
        }
        for watch in &self.probes.watches {
            let replica = self.pool.get_mut(watch.replica);
            if let Some(slot) = replica.and_then(|it| it.verdicts.get_mut(watch.check)) {
                *slot = watch.checkup.standing.verdict;
            }
        }
        self.pool.update_all(now);
        self.metrics.declare(&self.config, &mut self.effects);
    }

    /// Takes in what the wall clock says: Unix milliseconds, to be shown only.
    pub fn set_unix_ms(&mut self, unix_ms: u64) {
        self.unix_ms = unix_ms;
    }

    /// Whether this VM is the one that probes.
    pub fn is_holder(&self) -> bool {
        self.member
            .as_ref()
            .is_some_and(|member| member.lease.is_mine())
    }

    /// The board's version this VM has seen; when the board has another one,
    /// [`Balancer::refresh`] before the next connection.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether a connection's client must be known to choose for it.
    pub fn asks_for_client(&self) -> bool {
        self.config.policy == Policy::SourceHash
    }

    /// The listener of a port.
    pub fn listener(&self, port: u16) -> Option<ListenerId> {
        self.pool.listener(port)
    }

    /// The replica of a name, also one that is no longer configured.
    pub fn replica(&self, name: &str) -> Option<ReplicaId> {
        self.pool.id(name)
    }

    /// A replica's name.
    pub fn name(&self, id: ReplicaId) -> Option<&str> {
        self.pool.get(id).map(|replica| replica.name.as_str())
    }

    /// Whether a replica may be given connections of a listener because it is well.
    pub fn serves(&self, listener: ListenerId, id: ReplicaId) -> bool {
        let listener = self.pool.listeners.get(listener.0);
        listener.is_some_and(|listener| self.pool.class(listener, id).is_well())
    }

    /// Connections open at a replica, as far as this VM knows.
    pub fn active(&self, id: ReplicaId) -> u32 {
        self.pool.get(id).map_or(0, |replica| replica.active())
    }

    /// Whether it is still to be found out where a connection went.
    pub fn is_unsettled(&self, stream: StreamId) -> bool {
        self.sessions
            .get(stream)
            .is_some_and(|session| session.landed == Landed::Unknown)
    }

    /// How many questions are under way.
    pub fn under_way(&self) -> usize {
        self.probes.under_way()
    }

    /// Chooses for a new connection. `client` stands for the client's address; it
    /// matters when [`Balancer::asks_for_client`].
    pub fn admit(
        &mut self,
        stream: StreamId,
        listener: ListenerId,
        client: u64,
        now: Moment,
    ) -> Admission<'_> {
        let chosen = match self.pool.choose(listener, client, &mut self.random) {
            Ok(chosen) => chosen,
            Err(refusal) => return Admission::Refuse(refusal),
        };
        self.count_open(chosen.replica, now);
        let session = Session {
            listener,
            replica: Some(chosen.replica),
            landed: Landed::Unknown,
        };
        if let Some(before) = self.sessions.opened(stream, session) {
            // A host that uses a number twice forgot to say that the first is over.
            self.count_closed(before.replica, now);
        }
        match self.pool.route(listener, chosen) {
            Some(route) => Admission::Steer(chosen.replica, route),
            None => Admission::Refuse(Refusal::AllAway),
        }
    }

    /// Takes in one fact. What follows from it waits in [`Balancer::next_effect`].
    /// Facts about probes and connections nobody knows of are harmless.
    pub fn observe(&mut self, fact: Fact<'_>, now: Moment) {
        match fact {
            Fact::Tick => self.tick(now),
            Fact::Answered(probe, reply) => {
                let Some(kind) = self.kind_of(probe) else {
                    return;
                };
                let mut outcome = answer::judge(&kind, &reply);
                if reply.status == 0 && self.probes.is_late(probe, now) {
                    outcome = outcome.map_err(|it| Finding {
                        reason: Reason::Timeout,
                        ..it
                    });
                }
                self.take_answer(probe, outcome, now);
            }
            Fact::NotSent(probe) => {
                let text = "the proxy has no address for it, or no such cluster";
                self.take_answer(probe, Err(Finding::new(Reason::NoAddress, text)), now);
            }
            Fact::Landed(stream, landing) => self.landed(stream, landing, now),
            Fact::NotSteered(stream) => {
                metric::one("dtr_lb.not_steered".to_owned(), &mut self.effects);
                let session = self.sessions.get_mut(stream);
                let counted = session.and_then(|session| session.replica.take());
                self.count_closed(counted, now);
            }
            Fact::Closed(stream, landing) => {
                let Some(mut session) = self.sessions.closed(stream) else {
                    return;
                };
                if session.landed == Landed::Unknown {
                    self.settle(&mut session, landing, now);
                }
                self.count_closed(session.replica, now);
            }
        }
    }

    /// What is to be done, in order, until there is nothing left.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call again though nothing happens; `None`: never.
    pub fn next_wake(&self) -> Option<Moment> {
        let holds = self
            .pool
            .replicas
            .iter()
            .filter_map(|replica| replica.passive.held_until());
        let asks = match self.is_holder() {
            true => self.probes.next_wake(|id| is_left_alone(&self.pool, id)),
            false => None,
        };
        holds.chain(asks).chain([self.beat_due]).min()
    }

    fn tick(&mut self, now: Moment) {
        for probe in self.probes.lost(now) {
            let finding = Finding::new(Reason::Timeout, "the answer got lost");
            self.take_answer(probe, Err(finding), now);
        }
        let slow_start = Duration::from_millis(self.config.slow_start_ms);
        for id in self.pool.ids() {
            let Some(replica) = self.pool.get_mut(id) else {
                continue;
            };
            let expired = replica.passive.expire(now);
            let growing = replica.recovered.is_some();
            replica
                .recovered
                .take_if(|since| now.since(*since) >= slow_start);
            if expired || growing {
                self.pool.update(id, now);
            }
        }
        if self.is_holder() {
            self.ask(now);
        }
        let unknown = self.sessions.unknown(MOST_LOCATED);
        self.effects.extend(unknown.into_iter().map(Effect::Locate));
    }

    fn ask(&mut self, now: Moment) {
        let pool = &self.pool;
        let skips = |id| is_left_alone(pool, id);
        for (probe, id, check) in self.probes.ask(now, &mut self.random, skips) {
            let (Some(replica), Some(check)) = (pool.get(id), self.config.checks.get(check)) else {
                continue;
            };
            let question = Question::of(probe, check, &replica.name, &self.config);
            self.effects.push_back(Effect::Ask(question));
        }
    }

    fn kind_of(&self, probe: ProbeId) -> Option<crate::config::CheckKind> {
        let watch = self.probes.watch_of(probe)?;
        self.config
            .checks
            .get(watch.check)
            .map(|check| check.kind.clone())
    }

    fn take_answer(&mut self, probe: ProbeId, outcome: Result<(), Finding>, now: Moment) {
        let Some(watch) = self.probes.watch_of(probe) else {
            return;
        };
        let (id, check) = (watch.replica, watch.check);
        let since = watch.checkup.since_unix_ms;
        let name = self
            .pool
            .get(id)
            .map(|replica| replica.name.clone())
            .unwrap_or_default();
        match &outcome {
            Ok(()) => metric::one(
                format!("dtr_lb.replica.{name}.probes_ok"),
                &mut self.effects,
            ),
            Err(finding) => {
                metric::failed_probe(&name, finding.reason, finding.component, &mut self.effects);
            }
        }
        let taken = self.probes.answered(probe, outcome, now, self.unix_ms);
        let Some((watch, change)) = taken else { return };
        let finding = watch.checkup.finding.clone();
        let Some(verdict) = change else { return };
        self.news = News::Verdicts;
        metric::one(format!("dtr_lb.replica.{name}.changes"), &mut self.effects);
        let check_name = self
            .config
            .checks
            .get(check)
            .map_or("", |check| check.name.as_str());
        let told = match (verdict, finding) {
            (Verdict::Healthy, _) => {
                let seconds = self.unix_ms.saturating_sub(since) / 1000;
                let told =
                    format!("replica \"{name}\" is healthy ({check_name}), after {seconds} s");
                Effect::Log(Level::Info, told)
            }
            (Verdict::Unhealthy, finding) => {
                let why = finding.map(|finding| why(&finding)).unwrap_or_default();
                Effect::Log(
                    Level::Warn,
                    format!("replica \"{name}\" is unhealthy ({check_name}): {why}"),
                )
            }
        };
        self.effects.push_back(told);
        self.set_verdict(id, check, verdict, now);
    }

    /// Takes in whether a replica passes a check, whoever found out.
    pub(crate) fn set_verdict(
        &mut self,
        id: ReplicaId,
        check: usize,
        verdict: Verdict,
        now: Moment,
    ) {
        let Some(replica) = self.pool.get_mut(id) else {
            return;
        };
        match replica.verdicts.get_mut(check) {
            Some(held) if *held != verdict => *held = verdict,
            _ => return,
        }
        if verdict == Verdict::Healthy && self.config.slow_start_ms > 0 {
            replica.recovered = Some(now);
        }
        self.pool.update(id, now);
        if verdict == Verdict::Unhealthy && self.config.on_down == OnDown::Close {
            self.close_sessions(id, check);
        }
    }

    /// Closes what a replica serves on the listeners that ask for this check.
    fn close_sessions(&mut self, id: ReplicaId, check: usize) {
        for (stream, session) in self.sessions.iter() {
            let listener = self.pool.listeners.get(session.listener.0);
            let asks = listener.is_some_and(|listener| listener.checks.contains(&check));
            if session.replica == Some(id) && asks {
                self.effects.push_back(Effect::Close(stream));
            }
        }
    }

    /// Takes in an order, whoever gave it.
    pub(crate) fn set_order(&mut self, id: ReplicaId, order: Order, now: Moment) {
        let slow_start = self.config.slow_start_ms > 0;
        let Some(replica) = self.pool.get_mut(id) else {
            return;
        };
        if replica.order == order {
            return;
        }
        replica.order = order;
        if order == Order::Ready && slow_start {
            replica.recovered = Some(now);
        }
        self.pool.update(id, now);
    }

    fn landed(&mut self, stream: StreamId, landing: Landing<'_>, now: Moment) {
        let Some(session) = self.sessions.get_mut(stream) else {
            return;
        };
        if session.landed == Landed::Known {
            return;
        }
        let mut settled = *session;
        // While it is open, the next attempt may be under way: only its end tells.
        let landing = match landing {
            Landing::Failed => Landing::Pending,
            other => other,
        };
        self.settle(&mut settled, landing, now);
        if settled.landed == Landed::Unknown {
            self.sessions.again(stream);
        }
        if let Some(session) = self.sessions.get_mut(stream) {
            *session = settled;
        }
    }

    /// Learns where a connection went: to the chosen replica, to another because
    /// the chosen one did not answer, or nowhere.
    fn settle(&mut self, session: &mut Session, landing: Landing<'_>, now: Moment) {
        let chosen = session.replica;
        match landing {
            Landing::Pending => return,
            Landing::Failed => self.count_failure(chosen, now),
            Landing::Reached(name) => {
                // By far the most reach the chosen one: no look-up for those.
                let is_chosen = |id: &ReplicaId| self.name(*id) == Some(name);
                let reached = match chosen.filter(is_chosen) {
                    Some(chosen) => Some(chosen),
                    None => self.pool.id(name),
                };
                if reached != chosen {
                    self.count_failure(chosen, now);
                    self.count_closed(chosen, now);
                    if let Some(reached) = reached {
                        self.count_open(reached, now);
                    }
                    session.replica = reached;
                }
                self.count_reached(reached, now);
            }
        }
        session.landed = Landed::Known;
    }

    fn count_open(&mut self, id: ReplicaId, now: Moment) {
        if let Some(replica) = self.pool.get_mut(id) {
            replica.here.active = replica.here.active.saturating_add(1);
            self.pool.update(id, now);
        }
    }

    fn count_closed(&mut self, id: Option<ReplicaId>, now: Moment) {
        let Some(id) = id else { return };
        if let Some(replica) = self.pool.get_mut(id) {
            replica.here.active = replica.here.active.saturating_sub(1);
            self.pool.update(id, now);
        }
    }

    fn count_reached(&mut self, id: Option<ReplicaId>, now: Moment) {
        let Some(id) = id else { return };
        let Some(replica) = self.pool.get_mut(id) else {
            return;
        };
        replica.here.connections = replica.here.connections.saturating_add(1);
        let was_held = replica.passive.is_held(now);
        replica.passive.reached();
        if was_held {
            self.pool.update(id, now);
        }
    }

    fn count_failure(&mut self, id: Option<ReplicaId>, now: Moment) {
        let Some(id) = id else { return };
        if let Some(replica) = self.pool.get_mut(id) {
            replica.here.failures = replica.here.failures.saturating_add(1);
            self.hold(id, 1, now);
        }
    }

    /// Takes in connect failures of a replica, whoever saw them.
    pub(crate) fn hold(&mut self, id: ReplicaId, failures: u64, now: Moment) {
        let rules = self.config.passive;
        let Some(replica) = self.pool.get_mut(id) else {
            return;
        };
        if replica.passive.failed(failures, &rules, now) == Hold::AsBefore {
            return;
        }
        let (name, ms) = (replica.name.clone(), rules.hold_ms);
        self.pool.update(id, now);
        // The VM that probes tells for all: it hears of everybody's failures.
        if self.is_holder() {
            let told = format!(
                "replica \"{name}\": {} connect failures within {} ms, held back for {ms} ms",
                rules.fails, rules.window_ms
            );
            self.effects.push_back(Effect::Log(Level::Warn, told));
        }
    }
}

/// Whether a replica is not to be probed.
fn is_left_alone(pool: &Pool, id: ReplicaId) -> bool {
    pool.get(id)
        .is_none_or(|replica| replica.order == Order::Maintenance)
}

/// A finding in one line.
pub(crate) fn why(finding: &Finding) -> String {
    let mut told = finding.reason.name().to_owned();
    if let Some(component) = finding.component {
        told.push_str(&format!(" [{}]", component.name()));
    }
    if !finding.text.is_empty() {
        told.push_str(": ");
        told.push_str(&finding.text);
    }
    told
}

/// So many connections are asked after in one tick.
const MOST_LOCATED: usize = 256;

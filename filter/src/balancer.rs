//! The balancer: facts and the time go in, effects come out.
//!
//! Nothing here reads a clock, opens a socket or writes a log. What the VMs of a
//! process share goes through a [`Store`](crate::shared::board::Store) that the caller
//! hands in; see [`Balancer::exchange`].

use crate::balance::connections::{Connection, Connections, Settled, StreamId, UpstreamOutcome};
use crate::balance::pool::{ListenerId, Pool, Refusal};
use crate::balance::replica::{Order, ReplicaId};
use crate::config::{Config, Policy};
use crate::contract::route::Route;
use crate::health::probe_request::ProbeRequest;
use crate::health::probe_response::{self, ProbeFailure, ProbeResponse};
use crate::health::prober::is_left_alone;
use crate::health::reason::Reason;
use crate::health::schedule::{ProbeId, Probes};
use crate::health::verdict::Verdict;
use crate::metrics::{self, Metrics, Report};
use crate::random::Random;
use crate::shared::sync::{Detail, Member};
use crate::time::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<'a> {
    /// Time went by.
    Tick,
    /// A probe was answered, by the replica or in its stead.
    Answered(ProbeId, ProbeResponse),
    /// A probe could not even be sent.
    NotSent(ProbeId),
    /// A connection got this far.
    Located(StreamId, UpstreamOutcome<'a>),
    /// The route a connection was given could not be set: the proxy chooses.
    NotSteered(StreamId),
    /// A connection is over; what became of it in the end.
    Closed(StreamId, UpstreamOutcome<'a>),
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask a replica.
    Ask(ProbeRequest),
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
    pub(crate) connections: Connections,
    pub(crate) random: Random,
    /// What this VM is to the others of its process; known from the first exchange.
    pub(crate) member: Option<Member>,
    /// The board's version this VM has seen.
    pub(crate) version: u32,
    /// Unix milliseconds, to be shown.
    pub(crate) unix_ms: u64,
    pub(crate) duty: Duty,
    pub(crate) news: News,
    pub(crate) beat_due: Moment,
    pub(crate) details_due: Moment,
    pub(crate) metrics: Metrics,
    pub(crate) effects: VecDeque<Effect>,
}

/// Whether this VM takes its part in probing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    Active,
    /// Another VM has taken its place; what is left are open connections.
    Retired,
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
            pool: Pool::new(&config, seed),
            probes: Probes::new(&config),
            connections: Connections::default(),
            random: Random::seeded(seed),
            member: None,
            version: 0,
            unix_ms,
            duty: Duty::Active,
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
    /// health by name; open connections go on.
    pub fn configure(&mut self, config: Config, now: Moment) {
        self.duty = Duty::Active;
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
            Some(detail.state.clone())
        };
        self.probes
            .configure(&self.config, &self.pool.ring, find, self.unix_ms);
        for replica in &mut self.pool.replicas {
            replica.verdicts = vec![Verdict::Healthy; self.config.checks.len()];
        }
        for watch in &self.probes.watches {
            let replica = self.pool.get_mut(watch.replica);
            if let Some(slot) = replica.and_then(|it| it.verdicts.get_mut(watch.check)) {
                *slot = watch.state.health.verdict;
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
        listener.is_some_and(|listener| self.pool.availability(listener, id).is_well())
    }

    /// Connections open at a replica, as far as this VM knows.
    pub fn active(&self, id: ReplicaId) -> u32 {
        self.pool.get(id).map_or(0, |replica| replica.active())
    }

    /// Whether no connection is open here.
    pub fn is_idle(&self) -> bool {
        self.connections.is_empty()
    }

    /// Whether it is still to be found out where a connection went.
    pub fn is_unsettled(&self, stream: StreamId) -> bool {
        self.connections
            .get(stream)
            .is_some_and(|connection| connection.settled == Settled::Unknown)
    }

    /// How many requests are under way.
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
        let connection = Connection {
            listener,
            replica: Some(chosen.replica),
            settled: Settled::Unknown,
        };
        if let Some(before) = self.connections.opened(stream, connection) {
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
            Fact::Answered(probe, response) => {
                let Some(kind) = self.kind_of(probe) else {
                    return;
                };
                let mut outcome = probe_response::judge(&kind, &response);
                if response.status == 0 && self.probes.is_late(probe, now) {
                    outcome = outcome.map_err(|it| ProbeFailure {
                        reason: Reason::Timeout,
                        ..it
                    });
                }
                self.take_answer(probe, outcome, now);
            }
            Fact::NotSent(probe) => {
                let text = "the proxy has no address for it, or no such cluster";
                self.take_answer(probe, Err(ProbeFailure::new(Reason::NoAddress, text)), now);
            }
            Fact::Located(stream, outcome) => self.landed(stream, outcome, now),
            Fact::NotSteered(stream) => {
                metrics::one("dtr_lb.not_steered".to_owned(), &mut self.effects);
                let connection = self.connections.get_mut(stream);
                let counted = connection.and_then(|connection| connection.replica.take());
                self.count_closed(counted, now);
            }
            Fact::Closed(stream, outcome) => {
                let Some(mut connection) = self.connections.closed(stream) else {
                    return;
                };
                if connection.settled == Settled::Unknown {
                    self.settle(&mut connection, outcome, now);
                }
                self.count_closed(connection.replica, now);
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
            .filter_map(|replica| replica.passive.ejected_until());
        let asks = match self.is_holder() {
            true => self.probes.next_wake(|id| is_left_alone(&self.pool, id)),
            false => None,
        };
        holds.chain(asks).chain([self.beat_due]).min()
    }

    fn tick(&mut self, now: Moment) {
        for probe in self.probes.lost(now) {
            let failure = ProbeFailure::new(Reason::Timeout, "the answer got lost");
            self.take_answer(probe, Err(failure), now);
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
        let unknown = self.connections.unknown(MOST_LOCATED);
        self.effects.extend(unknown.into_iter().map(Effect::Locate));
    }

    /// Takes in an order, whoever gave it.
    pub(crate) fn set_order(&mut self, id: ReplicaId, order: Order, unix_ms: u64, now: Moment) {
        let slow_start = self.config.slow_start_ms > 0;
        let Some(replica) = self.pool.get_mut(id) else {
            return;
        };
        if replica.order == order {
            return;
        }
        replica.order = order;
        replica.ordered_unix_ms = unix_ms;
        if order == Order::Ready && slow_start {
            replica.recovered = Some(now);
        }
        self.pool.update(id, now);
    }
}

/// So many connections are asked after in one tick.
const MOST_LOCATED: usize = 256;

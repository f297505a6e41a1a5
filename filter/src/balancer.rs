//! The balancer: facts and the time go in, effects come out.
//!
//! Nothing here reads a clock, opens a socket or writes a log, and nothing is
//! decided here that an owner below can decide alone: each fact is handed to the
//! pool, the connections, the monitor or the sync, and what one learns to the
//! others. What the VMs of a process share goes through a [`Store`] that the caller
//! hands in; see [`Balancer::sync`].

use crate::balance::connections::{Connections, Progress};
use crate::balance::listener::{ListenerId, Refusal};
use crate::balance::order::{HeldOrder, NewOrder, Order};
use crate::balance::passive::{self, Ejection, Failure};
use crate::balance::pool::Pool;
use crate::balance::replica::{Replica, ReplicaId, ReplicaNames};
use crate::balance::replica_counts::Learned;
use crate::balance::stream::StreamId;
use crate::balance::tally::Tally;
use crate::compare::inspector::Inspector;
use crate::config::{Config, OnDown, Policy};
use crate::contract::{LogField, LogLine, Route, metric_name};
use crate::effect::{Effect, Effects, Fact, Level, NewEvent};
use crate::health::prober::Prober;
use crate::health::verdict::Verdict;
use crate::health::watch::Change;
use crate::history::event::Event;
use crate::history::replica_history::ReplicaHistory;
use crate::log_limit::LogLimit;
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::printable::printable;
use crate::random::Random;
use crate::shared::board::{Lost, Store};
use crate::shared::pace::Pace;
use crate::shared::scope::Scope;
use crate::shared::sync::{Handover, Sync};
use crate::time::{Moment, Reading};

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
    config: Config,
    scope: Scope,
    pool: Pool,
    connections: Connections,
    monitor: Monitor,
    sync: Sync,
    metrics: Metrics,
    refused: LogLimit,
    random: Random,
    /// To be shown.
    unix_ms: u64,
    effects: Effects,
}

impl Balancer {
    /// A balancer of this configuration. The seed sets jitter and random choices;
    /// two VMs should not have the same. `unix_ms` is the time to be shown.
    pub fn new(config: Config, seed: u64, unix_ms: u64) -> Balancer {
        let pool = Pool::new(&config, seed);
        let mut balancer = Balancer {
            monitor: Monitor::new(&config, &pool, unix_ms),
            sync: Sync::new(Pace::new(config.health.interval_ms, pool.is_limited())),
            connections: Connections::default(),
            metrics: Metrics::default(),
            refused: LogLimit::default(),
            random: Random::seeded(seed),
            unix_ms,
            effects: Effects::default(),
            scope: Scope::of(config.service_name()),
            pool,
            config,
        };
        balancer.begin(Moment::START);
        balancer
    }

    /// Goes on with another configuration. Replicas keep counts, orders and
    /// health by name; open connections go on.
    pub fn configure(&mut self, config: Config, now: Moment) {
        self.sync.resume();
        if config == self.config {
            return;
        }
        self.config = config;
        self.connections.counts_mut().forget_learned();
        self.pool.configure(&self.config);
        self.monitor
            .configure(&self.config, &self.pool, self.unix_ms);
        let interval_ms = self.config.health.interval_ms;
        self.sync
            .configure(Pace::new(interval_ms, self.pool.is_limited()));
        self.begin(now);
        if self.is_holder() {
            self.monitor.start(now);
        }
    }

    /// Whose part of the shared data it reads and writes. It is the same for good.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Takes in what the wall clock shows: Unix milliseconds, to be shown only.
    pub fn set_unix_ms(&mut self, unix_ms: u64) {
        self.unix_ms = unix_ms;
    }

    /// Whether this VM is the one that probes.
    pub fn is_holder(&self) -> bool {
        self.sync.is_holder()
    }

    /// Whether the board has news: then [`Balancer::refresh`] before the next connection.
    pub fn is_behind(&self, store: &mut impl Store) -> bool {
        self.sync.is_behind(store)
    }

    /// Whether a connection's client must be known to choose for it.
    pub fn needs_client(&self) -> bool {
        self.config.policy == Policy::SourceHash
    }

    /// The listener of a port.
    pub fn listener(&self, port: u16) -> Option<ListenerId> {
        self.pool.listener_of(port)
    }

    /// The replica of a name, also one that is no longer configured.
    pub fn replica(&self, name: &str) -> Option<ReplicaId> {
        self.pool.id(name)
    }

    /// Whether a replica may be given connections of a listener for being healthy.
    pub fn serves(&self, listener: ListenerId, id: ReplicaId) -> bool {
        let listener = self.pool.listener(listener);
        listener.is_some_and(|listener| listener.availability(id).is_healthy())
    }

    /// Connections open at a replica, as far as this VM knows.
    pub fn active(&self, id: ReplicaId) -> u32 {
        self.connections.counts().everywhere(id).active
    }

    /// Whether no connection is open here.
    pub fn is_idle(&self) -> bool {
        self.connections.is_empty()
    }

    /// Whether connections that are older than this VM are to be counted here: until
    /// the VM it replaces counts as ended, they count as that one's.
    pub fn may_adopt(&self, now: Moment) -> bool {
        self.sync.predecessor_has_ended(now)
    }

    /// How many probes are under way.
    pub fn under_way(&self) -> usize {
        self.monitor.prober().under_way()
    }

    /// Chooses for a new connection. `client` stands for the client's address; it
    /// matters when [`Balancer::needs_client`].
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
        let before = self.connections.opened(stream, listener, chosen.replica);
        self.update_active([Some(chosen.replica), before], now);
        match self.pool.route(listener, chosen) {
            Some(route) => Admission::Steer(chosen.replica, route),
            None => Admission::Refuse(Refusal::AllAway),
        }
    }

    /// A connection of a listener is refused, before a replica is chosen for it.
    pub fn refused(&mut self, listener: ListenerId, refusal: Refusal) {
        self.pool.count_refused(listener, refusal);
    }

    /// Takes in one fact. What follows from it waits in [`Balancer::next_effect`].
    /// Facts about unknown probes and connections are harmless.
    pub fn observe(&mut self, fact: Fact<'_>, now: Moment) {
        let reading = self.reading(now);
        let effects = &mut self.effects;
        match fact {
            Fact::Tick => self.tick(now),
            Fact::Answered(probe, response) => {
                let change = self.monitor.answered(probe, &response, reading, effects);
                self.take_changes(change, now);
            }
            Fact::NotSent(probe) => {
                let change = self.monitor.not_sent(probe, reading, effects);
                self.take_changes(change, now);
            }
            Fact::Inspected(inspection, headers) => {
                self.monitor
                    .inspected(inspection, &headers, reading, effects);
                self.monitor.inspect(&self.pool, reading, effects);
            }
            Fact::Adopted(stream, listener, name) => {
                if let Some(replica) = self.pool.id(name) {
                    self.connections.adopted(stream, listener, replica);
                    self.update_active([Some(replica), None], now);
                }
            }
            Fact::Located(stream, outcome) => {
                let progress = self.connections.located(stream, outcome, &self.pool);
                self.take_progress(progress, now);
            }
            Fact::LeftUnserved(stream, name, blame) => {
                let progress = self
                    .connections
                    .left_unserved(stream, name, blame, &self.pool);
                self.take_progress(progress, now);
            }
            Fact::NotSteered(stream) => {
                effects.count(metric_name::NOT_STEERED.to_owned(), 1);
                let left = self.connections.not_steered(stream);
                self.update_active([left, None], now);
            }
            Fact::Closed(stream, outcome) => {
                let progress = self.connections.closed(stream, outcome, &self.pool);
                self.take_progress(progress, now);
            }
        }
    }

    /// What is to be done, in order, until there is nothing left.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop()
    }

    /// When to call again though nothing happens; `None`: never.
    pub fn next_wake(&self) -> Option<Moment> {
        let asks = match self.is_holder() {
            true => self.monitor.next_wake(&self.pool),
            false => None,
        };
        let beat = Some(self.sync.beat_due());
        let wakes = [self.pool.next_wake(), asks, beat];
        wakes.into_iter().flatten().min()
    }

    /// Meets the other VMs on the board, as far as that is due: the lease, the
    /// counts, the news. To be called at each tick and after each answer.
    pub fn sync(&mut self, store: &mut impl Store, now: Moment) {
        let store = &mut self.scope.within(store);
        if self.sync.is_behind(store) {
            self.read_board(store, now);
        }
        if self.sync.is_beat_due(now) {
            let handover = self.sync.beat(store, &mut self.random, now);
            self.take_handover(handover, store, now);
            self.share_counts(store, now);
        }
        if self.sync.must_announce() || self.sync.are_details_due(now) {
            self.announce(store, now);
        }
        if self.is_holder()
            && let Some(observations) = self.monitor.take_observations()
        {
            self.sync.leave_observations(store, &observations);
            self.gauge_clocks();
        }
        if self.is_holder() {
            let (config, pool, effects) = (&self.config, &self.pool, &mut self.effects);
            let outages = self
                .monitor
                .log_outages(config, pool, self.unix_ms, effects);
            if let Some(outages) = outages {
                self.sync.leave_outages(store, outages);
            }
        }
        self.leave_events(store);
    }

    /// Has all VMs show what happened here.
    fn leave_events(&mut self, store: &mut impl Store) {
        let events = self.effects.take_events();
        if !events.is_empty() {
            let event = |new: NewEvent| Event {
                unix_ms: self.unix_ms,
                level: new.level,
                text: new.text,
                client: new.client,
            };
            let events: Vec<Event> = events.into_iter().map(event).collect();
            self.sync.leave_events(store, &events);
        }
    }

    /// Tells the others what this VM found out, if it still is the one that probes.
    fn announce(&mut self, store: &mut impl Store, now: Moment) {
        let claim = self.sync.claim(store);
        let handover = self.sync.renew(store, &mut self.random, now);
        self.take_handover(handover, store, now);
        self.monitor.announce(&mut self.sync, store, claim, now);
        // Not left to the next connection.
        if self.sync.is_behind(store) {
            self.read_board(store, now);
        }
    }

    /// Reads verdicts and orders from the board.
    pub fn refresh(&mut self, store: &mut impl Store, now: Moment) {
        self.read_board(&mut self.scope.within(store), now);
    }

    fn read_board(&mut self, store: &mut impl Store, now: Moment) {
        let orders = self.sync.read_orders(store);
        for id in self.pool.ids() {
            let Some(replica) = self.pool.get(id) else {
                continue;
            };
            let held = orders.of(&replica.name, replica.configured);
            self.set_order(id, held, now);
        }
        if self.is_holder() {
            let configured = |name: &str| Some(self.pool.get(self.pool.id(name)?)?.configured);
            if orders.has_void(configured) {
                self.sync.drop_void_orders(store, configured);
            }
        }
        match self.sync.look(store, now) {
            Handover::None if self.is_holder() => {}
            Handover::None => {
                let verdicts = self.sync.read_verdicts(store);
                for change in self.monitor.prober().read(&verdicts) {
                    self.set_verdict(change, now);
                }
            }
            handover => self.take_handover(handover, store, now),
        }
    }

    /// Where connections are limited, shares this VM's counts and learns the others':
    /// to be called before a choice, which then keeps to limits over all VMs, and
    /// after it, for the others' next choice.
    pub fn share_limits(&mut self, store: &mut impl Store, now: Moment) {
        if self.pool.is_limited() {
            self.share_counts(&mut self.scope.within(store), now);
        }
    }

    /// Has a replica serve, drain or rest, in all VMs.
    ///
    /// # Errors
    ///
    /// [`Lost`] when the board could not be written; nothing changed.
    pub fn order(
        &mut self,
        store: &mut impl Store,
        id: ReplicaId,
        new: NewOrder<'_>,
        now: Moment,
    ) -> Result<(), Lost> {
        let replica = self.pool.get(id).ok_or(Lost)?;
        let name = &replica.name;
        let store = &mut self.scope.within(store);
        let ordered = (name.as_str(), replica.configured);
        let held = self.sync.order(store, ordered, new, self.unix_ms)?;
        let mut text = format!(": {}, by order of the operator", new.order.name());
        if let Some(comment) = new.comment.filter(|comment| !comment.is_empty()) {
            text.push_str(": ");
            text.push_str(&printable(comment));
        }
        let line = LogLine::of_replica(name, &replica.address, &text);
        let line = line.with(LogField::Client, new.client);
        self.effects.log_event(Level::Info, line);
        self.set_order(id, held, now);
        self.leave_events(store);
        Ok(())
    }

    /// Nobody asks a replica that is in maintenance, and what was known before is not true any
    /// more when it comes back: its first answer decides then.
    fn set_order(&mut self, id: ReplicaId, held: HeldOrder, now: Moment) {
        let before = self.pool.get(id).map(Replica::order);
        let is_away = |order| order == Some(Order::Maintenance);
        if is_away(before) != is_away(Some(held.order)) {
            self.monitor.unsettle(id);
        }
        self.pool.set_order(id, held, now);
    }

    /// Logs that somebody was refused a change, unless that happens all the time. The line
    /// is given how many were left out before it.
    pub(crate) fn log_refused(&mut self, line: impl FnOnce(u64) -> LogLine, now: Moment) {
        if let Some(left_out) = self.refused.admit(now) {
            self.effects.log_line(Level::Warn, line(left_out));
        }
    }

    /// Leaves probing to the others, because a VM with another configuration takes
    /// this one's place. Open connections go on, and count.
    pub fn retire(&mut self, store: &mut impl Store, now: Moment) {
        let store = &mut self.scope.within(store);
        if self.is_holder() {
            self.sync.make_details_due();
            self.announce(store, now);
        }
        self.sync.retire(store);
        self.monitor.stop();
        // Not only at the next heartbeat: there may be none.
        self.share_counts(store, now);
        if self.is_idle() {
            let mine = self.connections.counts().by_key(&self.pool);
            self.sync.end_counts(store, &mine);
        }
    }

    /// Where another VM probes, learns what it has left on the board, to show it.
    pub fn learn_details(&mut self, store: &mut impl Store) {
        let store = &mut self.scope.within(store);
        if !self.is_holder() {
            self.monitor.learn(&self.sync, store);
        }
    }

    /// What this VM is configured to do.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Unix milliseconds, to be shown.
    pub(crate) fn unix_ms(&self) -> u64 {
        self.unix_ms
    }

    /// The replicas and listeners, to be shown.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What is known of the replicas' health, to be shown.
    pub(crate) fn prober(&self) -> &Prober {
        self.monitor.prober()
    }

    /// What the replicas' answers revealed, to be shown.
    pub(crate) fn inspector(&self) -> &Inspector {
        self.monitor.inspector()
    }

    /// What a replica has been through, to be shown.
    pub(crate) fn history(&self, replica: &Replica) -> ReplicaHistory {
        self.monitor.history(replica)
    }

    /// What all VMs counted of a replica, as far as this one knows.
    pub(crate) fn tally(&self, id: ReplicaId) -> Tally {
        self.connections.counts().everywhere(id)
    }

    /// This VM's part among the others, to be shown.
    pub(crate) fn shared(&self) -> &Sync {
        &self.sync
    }

    /// Begins with a configuration: the verdicts are those of the prober.
    fn begin(&mut self, now: Moment) {
        let verdicts = self.monitor.prober().watches().iter().map(|watch| {
            let change = watch.verdict();
            (change.replica, change.check, change.verdict)
        });
        self.pool
            .set_verdicts(self.config.checks.len(), verdicts, now);
        self.metrics.declare(&self.config, &mut self.effects);
    }

    fn tick(&mut self, now: Moment) {
        let reading = self.reading(now);
        let changes = self.monitor.expire(reading, &mut self.effects);
        self.take_changes(changes, now);
        self.pool.tick(now);
        if self.is_holder() {
            self.monitor
                .ask(&self.pool, &mut self.random, reading, &mut self.effects);
        }
        for stream in self.connections.take_unsettled(MOST_LOCATED, now) {
            self.effects.push(Effect::Locate(stream));
        }
    }

    /// Takes in changes of verdicts that this VM found.
    fn take_changes(&mut self, changes: impl IntoIterator<Item = Change>, now: Moment) {
        for change in changes {
            self.sync.has_news();
            self.set_verdict(change, now);
        }
    }

    /// Takes in whether a replica passes a check, whichever VM found out.
    fn set_verdict(&mut self, change: Change, now: Moment) {
        let (id, check, verdict) = (change.replica, change.check, change.verdict);
        match self.pool.verdict(id, check) {
            Some(held) if held != verdict => {}
            _ => return,
        }
        self.pool.set_verdict(id, check, verdict, now);
        if verdict == Verdict::Unhealthy && self.config.on_down == OnDown::Close {
            let pool = &self.pool;
            let asks = |id| {
                pool.listener(id)
                    .is_some_and(|it| it.checks.contains(&check))
            };
            for stream in self.connections.of(id, asks) {
                self.effects.push(Effect::Close(stream));
            }
        }
    }

    /// Takes in what a connection's progress means for its replicas.
    fn take_progress(&mut self, progress: Progress, now: Moment) {
        self.update_active(progress.changed, now);
        if let Some(failed) = progress.failed {
            self.take_failures(failed, Failure::Connect, 1, now);
        }
        if let Some(unserved) = progress.unserved {
            self.take_failures(unserved, Failure::Unserved, 1, now);
        }
        if let Some(reached) = progress.reached {
            self.pool.reached(reached, progress.opening, now);
        }
    }

    /// Takes in failures of a replica, whichever VM saw them.
    fn take_failures(&mut self, id: ReplicaId, failure: Failure, times: u64, now: Moment) {
        let last = self.connections.last();
        let ejection = self.pool.failed(id, failure, times, last, now);
        // The VM that probes logs for all: it learns of everybody's failures.
        if ejection == Ejection::Unchanged || !self.is_holder() {
            return;
        }
        if let Some(replica) = self.pool.get(id) {
            let text = passive::describe(failure, &self.config.passive);
            let line = LogLine::of_replica(&replica.name, &replica.address, &format!(": {text}"))
                .with(LogField::Reason, failure.name());
            self.effects.log_event(Level::Warn, line);
        }
    }

    /// Goes on where the last holder of the lease stopped, or leaves it to the next.
    fn take_handover(&mut self, handover: Handover, store: &mut impl Store, now: Moment) {
        match handover {
            Handover::None => {}
            Handover::Lost => {
                self.sync.drop_news();
                for change in self.monitor.leave(&self.sync, store) {
                    self.set_verdict(change, now);
                }
            }
            Handover::Gained => {
                let reading = self.reading(now);
                for change in self.monitor.take_over(&self.sync, store, reading) {
                    self.set_verdict(change, now);
                }
                self.metrics.forget_gauges();
                self.gauge_clocks();
            }
        }
    }

    /// Shares this VM's counts, learns the others', and reports both.
    fn share_counts(&mut self, store: &mut impl Store, now: Moment) {
        let mine = self.connections.counts().by_key(&self.pool);
        if let Some((tallies, others)) = self.sync.share_counts(store, &mine, now) {
            let counts = self.connections.counts_mut();
            for learned in counts.learn(&self.pool, tallies, others) {
                self.take_learned(learned, now);
            }
        }
        self.metrics
            .count(&self.pool, &self.connections, &mut self.effects);
        if self.is_holder() {
            self.metrics.gauge(&self.pool, &mut self.effects);
            self.monitor.record(&self.pool, now);
        }
    }

    /// Takes in what the other VMs counted of a replica.
    fn take_learned(&mut self, learned: Learned, now: Moment) {
        let id = learned.replica;
        self.update_active([learned.changed, None], now);
        if learned.failures > 0 {
            self.take_failures(id, Failure::Connect, learned.failures, now);
        }
        if learned.unserved > 0 {
            self.take_failures(id, Failure::Unserved, learned.unserved, now);
        }
    }

    /// Reports how far the replicas' clocks are off, which a round of inspections alone
    /// changes.
    fn gauge_clocks(&mut self) {
        let skews_ms = self.monitor.inspector().skews_ms();
        self.metrics
            .gauge_clocks(&self.pool, &skews_ms, &mut self.effects);
    }

    /// Puts replicas in order whose number of open connections changed.
    fn update_active(&mut self, changed: [Option<ReplicaId>; 2], now: Moment) {
        for id in changed.into_iter().flatten() {
            let active = self.connections.counts().everywhere(id).active;
            self.pool.set_active(id, active, now);
        }
    }

    fn reading(&self, now: Moment) -> Reading {
        Reading {
            moment: now,
            unix_ms: self.unix_ms,
        }
    }
}

/// No more connections than this are asked after in one tick.
const MOST_LOCATED: usize = 256;

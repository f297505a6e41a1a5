//! All replicas and the listeners they serve: what changes of a replica is put in
//! order on each listener.

use super::choice::Load;
use super::listener::{Chosen, Listener, ListenerId, ListenerParts, Refusal};
use super::order::HeldOrder;
use super::passive::{Ejection, Failure};
use super::replica::{Replica, ReplicaId, ReplicaNames};
use super::stream::Opening;
use crate::config::{self, Config, Policy, WhenAllDown};
use crate::contract::{Route, routes};
use crate::health::verdict::Verdict;
use crate::random::Random;
use crate::time::Moment;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// The replicas and the listeners they serve.
#[derive(Debug)]
pub(crate) struct Pool {
    replicas: Vec<Replica>,
    /// The configuration's list: numbers of replicas.
    ring: Vec<ReplicaId>,
    listeners: Vec<Listener>,
    names: HashMap<String, ReplicaId>,
    /// Replicas that time changes: ejected for a while, or with a share that grows.
    changing: BTreeSet<ReplicaId>,
    seed: u64,
    rules: Rules,
    /// Whether any replica has a limit; asked for each connection.
    is_limited: bool,
}

/// What the configuration says of all replicas.
#[derive(Clone, Copy, Debug)]
struct Rules {
    policy: Policy,
    when_all_down: WhenAllDown,
    passive: config::Passive,
    slow_start: Duration,
}

impl Rules {
    fn of(config: &Config) -> Rules {
        Rules {
            policy: config.policy,
            when_all_down: config.when_all_down,
            passive: config.passive,
            slow_start: Duration::from_millis(config.slow_start_ms),
        }
    }
}

impl Pool {
    pub(crate) fn new(config: &Config, seed: u64) -> Pool {
        let mut pool = Pool {
            seed,
            replicas: Vec::new(),
            ring: Vec::new(),
            listeners: Vec::new(),
            names: HashMap::new(),
            changing: BTreeSet::new(),
            rules: Rules::of(config),
            is_limited: false,
        };
        pool.configure(config);
        pool
    }

    /// Takes in another configuration; replicas keep their numbers and orders by
    /// name. [`Pool::set_verdicts`] is to follow.
    pub(crate) fn configure(&mut self, config: &Config) {
        self.rules = Rules::of(config);
        let mut limits = config.replicas.iter().map(|it| it.max_connections);
        self.is_limited = limits.any(|limit| limit.is_some());
        for replica in &mut self.replicas {
            replica.position = None;
        }
        self.ring.clear();
        for (position, configured) in config.replicas.iter().enumerate() {
            let next = ReplicaId(self.replicas.len() as u32);
            let id = *self.names.entry(configured.name.clone()).or_insert(next);
            if id == next {
                self.replicas.push(Replica::new(configured));
            }
            if let Some(replica) = self.replicas.get_mut(id.index()) {
                replica.configure(configured, position);
            }
            self.ring.push(id);
        }
        let names = config.replicas.iter().map(|replica| replica.name.as_str());
        let names: Vec<&str> = names.collect();
        let mut before: HashMap<u16, Listener> = self
            .listeners
            .drain(..)
            .map(|listener| (listener.port, listener))
            .collect();
        for listener in &config.listeners {
            let number = |name: &String| config.checks.iter().position(|check| check.name == *name);
            let parts = ListenerParts {
                port: listener.port,
                checks: listener.checks.iter().filter_map(number).collect(),
                routes: routes(
                    &config.cluster_names,
                    listener.port,
                    &names,
                    config.runners_up,
                ),
                policy: config.policy,
                seed: self.seed,
            };
            let keys = self.replicas.iter().map(|replica| replica.key);
            let before = before.remove(&listener.port);
            self.listeners.push(Listener::new(parts, keys, before));
        }
    }

    /// Whether any replica has a limit of connections.
    pub(crate) fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// The configured replicas, in the operator's order.
    pub(crate) fn ring(&self) -> &[ReplicaId] {
        &self.ring
    }

    pub(crate) fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    pub(crate) fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(id.0)
    }

    /// The listener of a port.
    pub(crate) fn listener_of(&self, port: u16) -> Option<ListenerId> {
        let mut listeners = self.listeners.iter();
        let number = listeners.position(|listener| listener.port == port)?;
        Some(ListenerId(number))
    }

    pub(crate) fn get(&self, id: ReplicaId) -> Option<&Replica> {
        self.replicas.get(id.index())
    }

    /// All replicas, those no longer configured too.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = (ReplicaId, &Replica)> {
        self.ids().zip(&self.replicas)
    }

    /// Numbers of all replicas, those no longer configured too.
    pub(crate) fn ids(&self) -> impl ExactSizeIterator<Item = ReplicaId> + use<> {
        (0..self.replicas.len() as u32).map(ReplicaId)
    }

    /// Chooses for a connection from a client, given as an even hash.
    ///
    /// # Errors
    ///
    /// Why no replica can serve it.
    pub(crate) fn choose(
        &mut self,
        listener: ListenerId,
        client: u64,
        random: &mut Random,
    ) -> Result<Chosen, Refusal> {
        let Some(listener) = self.listeners.get_mut(listener.0) else {
            return Err(Refusal::UnknownListener);
        };
        let chosen = listener.choose(client, random)?;
        let replica = self.replicas.get(chosen.index());
        let position = replica.and_then(|replica| replica.position);
        let position = position.unwrap_or(usize::MAX);
        Ok(listener.with_runner_up(chosen, position, &self.ring))
    }

    /// A connection of a listener was refused before anything was chosen for it.
    pub(crate) fn count_refused(&mut self, listener: ListenerId, refusal: Refusal) {
        if let Some(listener) = self.listeners.get_mut(listener.0) {
            listener.count_refused(refusal);
        }
    }

    /// The route of a choice.
    pub(crate) fn route(&self, listener: ListenerId, chosen: Chosen) -> Option<&Route> {
        self.listener(listener)?.route(chosen)
    }

    /// Whether a replica serves at least one listener for being healthy.
    pub(crate) fn is_usable(&self, id: ReplicaId) -> bool {
        self.listeners.iter().any(|it| it.is_usable(id))
    }

    /// How many configured replicas serve a listener for being healthy.
    pub(crate) fn usable(&self, listener: &Listener) -> usize {
        let usable = self.ring.iter().filter(|id| listener.is_usable(**id));
        usable.count()
    }

    /// How many configured replicas serve a listener for being healthy, those held back
    /// among them: they do while there is no better one.
    pub(crate) fn ready(&self, listener: &Listener) -> usize {
        let ready = self.ring.iter().filter(|id| listener.is_ready(**id));
        ready.count()
    }

    /// Takes in how many connections a replica has open.
    pub(crate) fn set_active(&mut self, id: ReplicaId, active: u32, now: Moment) {
        let Some(replica) = self.replicas.get_mut(id.index()) else {
            return;
        };
        if replica.max_connections.is_some() || replica.recovered.is_some() {
            // It may be full by that, or its share is another by now.
            self.change(id, now, |replica, _| replica.set_active(active));
            return;
        }
        replica.set_active(active);
        for listener in &mut self.listeners {
            listener.set_active(id, active);
        }
    }

    /// Takes in all verdicts anew, after another configuration, which has this many checks.
    pub(crate) fn set_verdicts(
        &mut self,
        checks: usize,
        verdicts: impl Iterator<Item = (ReplicaId, usize, Verdict)>,
        now: Moment,
    ) {
        for replica in &mut self.replicas {
            replica.verdicts = vec![Verdict::Healthy; checks];
        }
        for (id, check, verdict) in verdicts {
            let replica = self.replicas.get_mut(id.index());
            if let Some(slot) = replica.and_then(|it| it.verdicts.get_mut(check)) {
                *slot = verdict;
            }
        }
        for id in self.ids() {
            self.change(id, now, |_, _| ());
        }
    }

    /// Whether a replica passes a check; `None`: no such replica or check.
    pub(crate) fn verdict(&self, id: ReplicaId, check: usize) -> Option<Verdict> {
        self.get(id)?.verdicts.get(check).copied()
    }

    /// Takes in whether a replica passes a check. One that passes again is given
    /// its share bit by bit.
    pub(crate) fn set_verdict(
        &mut self,
        id: ReplicaId,
        check: usize,
        verdict: Verdict,
        now: Moment,
    ) {
        self.change(id, now, |replica, rules| {
            if let Some(slot) = replica.verdicts.get_mut(check) {
                *slot = verdict;
            }
            if verdict == Verdict::Healthy && !rules.slow_start.is_zero() {
                replica.recovered = Some(now);
            }
        });
    }

    /// Takes in what the operator wants of a replica.
    pub(crate) fn set_order(&mut self, id: ReplicaId, held: HeldOrder, now: Moment) {
        if self.get(id).is_none_or(|replica| replica.held == held) {
            return;
        }
        self.change(id, now, |replica, rules| {
            let before = std::mem::replace(&mut replica.held, held);
            let returns = replica.order().is_ready() && !before.order.is_ready();
            if returns && !rules.slow_start.is_zero() {
                replica.recovered = Some(now);
            }
        });
    }

    /// Takes in failures of a replica. `last` is the connection opened last.
    pub(crate) fn failed(
        &mut self,
        id: ReplicaId,
        failure: Failure,
        times: u64,
        last: Opening,
        now: Moment,
    ) -> Ejection {
        let Some(replica) = self.replicas.get_mut(id.index()) else {
            return Ejection::Unchanged;
        };
        let ejection = replica
            .passive
            .failed(failure, times, &self.rules.passive, last, now);
        if ejection == Ejection::Begins {
            self.change(id, now, |_, _| ());
        }
        ejection
    }

    /// A connection reached a replica, which ends an ejection that began before it.
    pub(crate) fn reached(&mut self, id: ReplicaId, opening: Opening, now: Moment) {
        let Some(replica) = self.replicas.get_mut(id.index()) else {
            return;
        };
        let was_ejected = replica.passive.is_ejected(now);
        replica.passive.reached(opening);
        if was_ejected && !replica.passive.is_ejected(now) {
            self.change(id, now, |_, _| ());
        }
    }

    /// Ends ejections whose time is over, and lets the shares of replicas grow that
    /// came back.
    pub(crate) fn tick(&mut self, now: Moment) {
        for id in std::mem::take(&mut self.changing) {
            let slow_start = self.rules.slow_start;
            // Notes again those that go on to change.
            self.change(id, now, |replica, _| {
                replica.passive.expire(now);
                replica
                    .recovered
                    .take_if(|since| now.since(*since) >= slow_start);
            });
        }
    }

    /// When the next ejection ends.
    pub(crate) fn next_wake(&self) -> Option<Moment> {
        let changing = self.changing.iter().filter_map(|id| self.get(*id));
        changing
            .filter_map(|replica| replica.passive.ejected_until())
            .min()
    }

    /// Changes a replica and puts it where it then belongs on each listener.
    fn change(&mut self, id: ReplicaId, now: Moment, change: impl FnOnce(&mut Replica, &Rules)) {
        let Some(replica) = self.replicas.get_mut(id.index()) else {
            return;
        };
        change(replica, &self.rules);
        if replica.changes_by_itself() {
            self.changing.insert(id);
        }
        let slow_start = match self.rules.policy {
            // Clients must not move twice because a replica returned.
            Policy::SourceHash => Duration::ZERO,
            _ => self.rules.slow_start,
        };
        let share = replica.share(slow_start, now);
        for listener in &mut self.listeners {
            let availability =
                replica.availability(&listener.checks, self.rules.when_all_down, now);
            let load = Load {
                availability,
                active: replica.active,
                share,
            };
            listener.set(id, load);
        }
    }
}

impl ReplicaNames for Pool {
    fn id(&self, name: &str) -> Option<ReplicaId> {
        self.names.get(name).copied()
    }

    fn is_named(&self, id: ReplicaId, name: &str) -> bool {
        self.get(id).is_some_and(|replica| replica.name == name)
    }
}

#[cfg(test)]
mod tests;

//! All replicas, and for each listener the order in which they are given
//! connections.

use crate::balance::choice::{Choice, Load};
use crate::balance::replica::{Availability, Replica, ReplicaId};
use crate::config::{Config, Policy, WhenAllDown};
use crate::contract::route::{Route, Routes};
use crate::random::Random;
use crate::time::Moment;
use std::collections::HashMap;
use std::time::Duration;

/// The number of one of the configuration's listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub(crate) usize);

/// Why a connection is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Each replica has all the connections it may have.
    AllFull,
    /// No replica is healthy.
    AllDown,
    /// Each replica is in drain or in maintenance.
    AllAway,
    /// The connection came from a listener the configuration does not have.
    UnknownListener,
}

impl Refusal {
    /// Each of them, for those who define metrics.
    pub const ALL: [Refusal; 4] = [
        Refusal::AllFull,
        Refusal::AllDown,
        Refusal::AllAway,
        Refusal::UnknownListener,
    ];

    /// The name it goes by in the metrics and the log.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::AllFull => "all-full",
            Refusal::AllDown => "all-down",
            Refusal::AllAway => "all-away",
            Refusal::UnknownListener => "unknown-listener",
        }
    }
}

/// One of the service's ports.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) port: u16,
    /// Which checks a replica must pass here, by number.
    pub(crate) checks: Vec<usize>,
    routes: Routes,
    choice: Choice,
    /// Connections given to a replica, ever.
    pub(crate) given: u64,
    /// Connections refused, ever.
    pub(crate) refused: HashMap<Refusal, u64>,
}

/// A replica and the runner-up chosen with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    pub(crate) replica: ReplicaId,
    place: usize,
    /// How far ahead in the ring the runner-up is; 0: none.
    ahead: usize,
}

/// The replicas and the listeners they serve.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) replicas: Vec<Replica>,
    /// The configuration's list: numbers of replicas.
    pub(crate) ring: Vec<ReplicaId>,
    pub(crate) listeners: Vec<Listener>,
    names: HashMap<String, ReplicaId>,
    seed: u64,
    try_all: bool,
    /// Whether any replica has a limit; asked for each connection.
    pub(crate) limited: bool,
    policy: Policy,
    slow_start: Duration,
}

impl Pool {
    pub(crate) fn new(config: &Config, seed: u64) -> Pool {
        let mut pool = Pool {
            seed,
            replicas: Vec::new(),
            ring: Vec::new(),
            listeners: Vec::new(),
            names: HashMap::new(),
            try_all: false,
            limited: false,
            policy: config.policy,
            slow_start: Duration::ZERO,
        };
        pool.configure(config);
        pool
    }

    /// Takes in another configuration; replicas keep their numbers, counts and
    /// orders by name. Verdicts and the order among replicas are to be set anew
    /// with [`Pool::update`].
    pub(crate) fn configure(&mut self, config: &Config) {
        self.try_all = config.when_all_down == WhenAllDown::TryAll;
        self.limited = config
            .replicas
            .iter()
            .any(|replica| replica.max_connections.is_some());
        self.policy = config.policy;
        self.slow_start = Duration::from_millis(config.slow_start_ms);
        for replica in &mut self.replicas {
            replica.place = None;
        }
        self.ring.clear();
        for (place, told) in config.replicas.iter().enumerate() {
            let next = ReplicaId(self.replicas.len() as u32);
            let id = *self.names.entry(told.name.clone()).or_insert(next);
            if id == next {
                self.replicas.push(Replica::new(told));
            }
            if let Some(replica) = self.replicas.get_mut(id.index()) {
                replica.place = Some(place);
                replica.weight = told.weight.max(1);
                replica.backup = told.backup;
                replica.max_connections = told.max_connections;
            }
            self.ring.push(id);
        }
        let names: Vec<&str> = config
            .replicas
            .iter()
            .map(|replica| replica.name.as_str())
            .collect();
        let mut before: HashMap<u16, Listener> = self
            .listeners
            .drain(..)
            .map(|listener| (listener.port, listener))
            .collect();
        for told in &config.listeners {
            let number = |name: &String| config.checks.iter().position(|check| check.name == *name);
            let before = before.remove(&told.port);
            self.listeners.push(Listener {
                port: told.port,
                checks: told.checks.iter().filter_map(number).collect(),
                routes: Routes::over(told.port, &names, config.runners_up),
                choice: Choice::among(
                    config.policy,
                    self.seed,
                    self.replicas.iter().map(|replica| replica.key),
                ),
                given: before.as_ref().map_or(0, |listener| listener.given),
                refused: before.map(|listener| listener.refused).unwrap_or_default(),
            });
        }
    }

    pub(crate) fn id(&self, name: &str) -> Option<ReplicaId> {
        self.names.get(name).copied()
    }

    pub(crate) fn get(&self, id: ReplicaId) -> Option<&Replica> {
        self.replicas.get(id.index())
    }

    pub(crate) fn get_mut(&mut self, id: ReplicaId) -> Option<&mut Replica> {
        self.replicas.get_mut(id.index())
    }

    /// The listener of a port.
    pub(crate) fn listener(&self, port: u16) -> Option<ListenerId> {
        self.listeners
            .iter()
            .position(|listener| listener.port == port)
            .map(ListenerId)
    }

    /// Numbers of all replicas, those no longer configured too.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.replicas.len() as u32).map(ReplicaId)
    }

    /// Puts a replica where it belongs now in each listener's order.
    pub(crate) fn update(&mut self, id: ReplicaId, now: Moment) {
        let Some(replica) = self.replicas.get(id.index()) else {
            return;
        };
        let slow_start = match self.policy {
            // Clients must not move twice because a replica returned.
            Policy::SourceHash => Duration::ZERO,
            _ => self.slow_start,
        };
        let (active, share) = (replica.active(), replica.share(slow_start, now));
        for listener in &mut self.listeners {
            let availability = replica.availability(&listener.checks, self.try_all, now);
            listener.choice.set(
                id.index(),
                Load {
                    availability,
                    active,
                    share,
                },
            );
        }
    }

    /// Puts all replicas where they belong.
    pub(crate) fn update_all(&mut self, now: Moment) {
        for id in self.ids() {
            self.update(id, now);
        }
    }

    /// Chooses for a connection from a client, given as an even hash.
    ///
    /// # Errors
    ///
    /// Why nobody can serve it.
    pub(crate) fn choose(
        &mut self,
        listener: ListenerId,
        client: u64,
        random: &mut Random,
    ) -> Result<Chosen, Refusal> {
        let Some(listener) = self.listeners.get_mut(listener.0) else {
            return Err(Refusal::UnknownListener);
        };
        let Some(chosen) = listener.choice.choose(client, random) else {
            let refusal = match listener.choice.best() {
                Some(Availability::Full) => Refusal::AllFull,
                Some(Availability::Down) => Refusal::AllDown,
                _ => Refusal::AllAway,
            };
            let times = listener.refused.entry(refusal).or_default();
            *times = times.saturating_add(1);
            return Err(refusal);
        };
        let place = self
            .replicas
            .get(chosen)
            .and_then(|replica| replica.place)
            .unwrap_or(usize::MAX);
        let ahead = runner_up(listener, &self.ring, chosen, place);
        listener.given = listener.given.saturating_add(1);
        Ok(Chosen {
            replica: ReplicaId(chosen as u32),
            place,
            ahead,
        })
    }

    /// The route of a choice.
    pub(crate) fn route(&self, listener: ListenerId, chosen: Chosen) -> Option<&Route> {
        self.listeners
            .get(listener.0)?
            .routes
            .get(chosen.place, chosen.ahead)
    }

    /// How well a replica stands on a listener.
    pub(crate) fn availability(&self, listener: &Listener, id: ReplicaId) -> Availability {
        listener
            .choice
            .key(id.index())
            .map_or(Availability::Away, |key| key.availability)
    }

    /// Replicas that serve a listener because they are well; full ones too.
    pub(crate) fn usable(&self, listener: &Listener) -> usize {
        let is_usable = |id: &&ReplicaId| {
            let availability = self.availability(listener, **id);
            availability.is_well() || availability == Availability::Full
        };
        self.ring.iter().filter(is_usable).count()
    }

    /// Whether a replica serves at least one listener because it is well.
    pub(crate) fn is_usable(&self, id: ReplicaId) -> bool {
        self.listeners.iter().any(|listener| {
            let availability = self.availability(listener, id);
            availability.is_well() || availability == Availability::Full
        })
    }
}

/// How far ahead of the chosen replica the best runner-up is that a route has;
/// 0 when none is better than the proxy's own fallback.
fn runner_up(listener: &Listener, ring: &[ReplicaId], chosen: usize, place: usize) -> usize {
    let choice = &listener.choice;
    let Some(availability) = choice.key(chosen).map(|key| key.availability) else {
        return 0;
    };
    let followers = ring
        .iter()
        .cycle()
        .skip(place.saturating_add(1))
        .take(listener.routes.reach());
    let usable = followers.enumerate().filter_map(|(before, id)| {
        let key = choice.key(id.index())?;
        let good = key.availability.is_well()
            || (key.availability.may_serve() && key.availability <= availability);
        good.then_some((key, before + 1))
    });
    usable.min().map_or(0, |(_, ahead)| ahead)
}

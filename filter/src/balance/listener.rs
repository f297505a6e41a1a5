//! One of the service's ports: who may serve it, and why a connection is refused.

use super::availability::Availability;
use super::choice::{Choice, Load};
use super::replica::ReplicaId;
use crate::config::Policy;
use crate::contract::{Others, Route, Routes, UNTRUSTED_HEADER};
use crate::random::Random;
use std::collections::HashMap;

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
    /// Its client is from a network that may not connect.
    Denied,
    /// Its client has as many connections as it may have.
    ClientLimit,
    /// Its client is no trusted proxy, and has sent a PROXY header.
    UntrustedHeader,
    /// The connection came from a listener the configuration does not have.
    UnknownListener,
}

impl Refusal {
    /// Those for which one is refused before a replica is chosen, where there are rules for
    /// clients.
    pub const OF_CLIENTS: [Refusal; 3] = [
        Refusal::Denied,
        Refusal::ClientLimit,
        Refusal::UntrustedHeader,
    ];

    /// Each of the others, for those who define metrics.
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
            Refusal::Denied => "denied",
            Refusal::ClientLimit => "client-limit",
            Refusal::UntrustedHeader => UNTRUSTED_HEADER,
            Refusal::UnknownListener => "unknown-listener",
        }
    }
}

/// The order of the replicas on one port.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) port: u16,
    /// Which checks a replica must pass here, by number.
    pub(crate) checks: Vec<usize>,
    routes: Routes,
    choice: Choice,
    /// How many replicas may be tried.
    tryable: usize,
    /// Connections given to a replica, ever.
    pub(crate) given: u64,
    /// Connections refused, ever.
    pub(crate) refused: HashMap<Refusal, u64>,
}

/// What a listener is made of.
#[derive(Debug)]
pub(crate) struct ListenerParts {
    pub(crate) port: u16,
    pub(crate) checks: Vec<usize>,
    pub(crate) routes: Routes,
    pub(crate) policy: Policy,
    pub(crate) seed: u64,
}

/// A replica and the runner-up chosen with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    pub(crate) replica: ReplicaId,
    /// Its position in the ring.
    position: usize,
    /// How far ahead in the ring the runner-up is; 0: none.
    ahead: usize,
    others: Others,
}

impl Listener {
    /// A listener for replicas with these keys, none of them usable yet; it goes on
    /// with the counts of the one it replaces.
    pub(crate) fn new(
        parts: ListenerParts,
        keys: impl IntoIterator<Item = u64>,
        before: Option<Listener>,
    ) -> Listener {
        let (given, refused) = before.map_or_else(Default::default, |it| (it.given, it.refused));
        Listener {
            port: parts.port,
            checks: parts.checks,
            routes: parts.routes,
            choice: Choice::among(parts.policy, parts.seed, keys),
            tryable: 0,
            given,
            refused,
        }
    }

    /// Takes in what changed of a replica.
    pub(crate) fn set(&mut self, id: ReplicaId, load: Load) {
        let tryable = |listener: &Listener| usize::from(listener.availability(id).may_be_tried());
        let before = tryable(self);
        self.choice.set(id.index(), load);
        let rest = self.tryable.saturating_sub(before);
        self.tryable = rest.saturating_add(tryable(self));
    }

    /// Takes in how many connections a replica has open, of which nothing else changed.
    pub(crate) fn set_active(&mut self, id: ReplicaId, active: u32) {
        self.choice.set_active(id.index(), active);
    }

    /// Chooses a replica for a connection from a client, given as an even hash.
    ///
    /// # Errors
    ///
    /// Why none can serve it.
    pub(crate) fn choose(
        &mut self,
        client: u64,
        random: &mut Random,
    ) -> Result<ReplicaId, Refusal> {
        let Some(chosen) = self.choice.choose(client, random) else {
            let refusal = match self.choice.best() {
                Some(Availability::Full) => Refusal::AllFull,
                Some(Availability::Down) => Refusal::AllDown,
                _ => Refusal::AllAway,
            };
            self.count_refused(refusal);
            return Err(refusal);
        };
        self.given = self.given.saturating_add(1);
        Ok(ReplicaId(chosen as u32))
    }

    /// A connection was refused.
    pub(crate) fn count_refused(&mut self, refusal: Refusal) {
        let times = self.refused.entry(refusal).or_default();
        *times = times.saturating_add(1);
    }

    /// Adds the best runner-up that a route has, and all the others unless one of
    /// them must not be tried.
    pub(crate) fn with_runner_up(
        &self,
        replica: ReplicaId,
        position: usize,
        ring: &[ReplicaId],
    ) -> Chosen {
        Chosen {
            replica,
            position,
            ahead: self.runner_up(position, ring),
            others: match self.tryable == ring.len() {
                true => Others::Tried,
                false => Others::Spared,
            },
        }
    }

    /// The route of a choice.
    pub(crate) fn route(&self, chosen: Chosen) -> Option<&Route> {
        self.routes
            .get(chosen.position, chosen.ahead, chosen.others)
    }

    /// How available a replica is here.
    pub(crate) fn availability(&self, id: ReplicaId) -> Availability {
        let key = self.choice.key(id.index());
        key.map_or(Availability::Away, |key| key.availability)
    }

    /// Whether a replica serves here for being healthy, even if it is full; one that is held
    /// back does while there is no better one.
    pub(crate) fn is_usable(&self, id: ReplicaId) -> bool {
        match self.availability(id) {
            Availability::Primary | Availability::Backup | Availability::Full => true,
            Availability::Ejected | Availability::EjectedBackup => {
                self.choice.best() >= Some(Availability::Ejected)
            }
            _ => false,
        }
    }

    /// Whether a replica is healthy, and held back for its failures.
    pub(crate) fn is_ejected(&self, id: ReplicaId) -> bool {
        matches!(
            self.availability(id),
            Availability::Ejected | Availability::EjectedBackup
        )
    }

    /// Whether it serves here for being healthy, also while it is full or held back.
    pub(crate) fn is_ready(&self, id: ReplicaId) -> bool {
        self.is_usable(id) || self.is_ejected(id)
    }

    fn runner_up(&self, position: usize, ring: &[ReplicaId]) -> usize {
        let followers = ring
            .iter()
            .cycle()
            .skip(position.saturating_add(1))
            .take(self.routes.reach());
        let tried = followers.enumerate().filter_map(|(before, id)| {
            let key = self.choice.key(id.index())?;
            key.availability.may_be_tried().then_some((key, before + 1))
        });
        tried.min().map_or(0, |(_, ahead)| ahead)
    }
}

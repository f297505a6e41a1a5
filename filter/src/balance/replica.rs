//! One replica, as the balancer knows it.

use crate::balance::passive::Passive;
use crate::balance::tally::Tally;
use crate::config;
use crate::health::verdict::Verdict;
use crate::random;
use crate::time::Moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A replica's number. It keeps it as long as the VM lives, also when a new
/// configuration puts it elsewhere in the list or leaves it out: connections that
/// are still open refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplicaId(pub u32);

impl ReplicaId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the operator wants of a replica while all is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// It serves when it is healthy.
    #[default]
    Ready,
    /// No new connections; open ones go on, and it is still probed.
    Drain,
    /// No new connections, and no probes: it is being worked on.
    Maintenance,
}

impl Order {
    /// The word for it in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Order::Ready => "ready",
            Order::Drain => "drain",
            Order::Maintenance => "maintenance",
        }
    }

    /// The order a word of the API stands for.
    pub fn named(word: &str) -> Option<Order> {
        [Order::Ready, Order::Drain, Order::Maintenance]
            .into_iter()
            .find(|order| order.name() == word)
    }
}

/// How much a replica may be given, from best to worst; one number orders all
/// replicas before their load does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Availability {
    /// A healthy primary.
    Primary,
    /// A healthy backup.
    Backup,
    /// Healthy but ejected for connect failures.
    Ejected,
    /// The same, of a backup.
    EjectedBackup,
    /// Unhealthy, tried because no other is left and the operator wants it so.
    Unhealthy,
    /// The same, of a backup.
    UnhealthyBackup,
    /// Healthy, but it has all the connections it may have.
    Full,
    /// Unhealthy.
    Down,
    /// In drain, in maintenance, or no longer configured.
    Away,
}

impl Availability {
    /// Whether a connection may be given to it at all.
    pub(crate) fn may_serve(self) -> bool {
        self < Availability::Full
    }

    /// Whether it serves for being well, not for want of a better one.
    pub(crate) fn is_well(self) -> bool {
        self <= Availability::Backup
    }
}

/// A replica with its counts and what is known of its health.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) name: String,
    /// What stands for the name on the board.
    pub(crate) key: u64,
    /// Where it is in the configuration's list; `None`: no longer there.
    pub(crate) place: Option<usize>,
    pub(crate) weight: u32,
    pub(crate) backup: bool,
    pub(crate) max_connections: Option<u32>,
    pub(crate) order: Order,
    /// Since when the order holds, to be shown.
    pub(crate) ordered_unix_ms: u64,
    /// By check, in the configuration's order.
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) passive: Passive,
    /// What this VM counted.
    pub(crate) here: Tally,
    /// What the other VMs counted, as of their last heartbeat.
    pub(crate) elsewhere: Tally,
    /// When it came back, while its share is still growing.
    pub(crate) recovered: Option<Moment>,
}

impl Replica {
    pub(crate) fn new(config: &config::Replica) -> Replica {
        Replica {
            name: config.name.clone(),
            key: random::hash(config.name.as_bytes()),
            place: None,
            weight: config.weight.max(1),
            backup: config.backup,
            max_connections: config.max_connections,
            order: Order::Ready,
            ordered_unix_ms: 0,
            verdicts: Vec::new(),
            passive: Passive::default(),
            here: Tally::default(),
            elsewhere: Tally::default(),
            recovered: None,
        }
    }

    /// Open connections, as far as this VM knows.
    pub(crate) fn active(&self) -> u32 {
        self.here.active.saturating_add(self.elsewhere.active)
    }

    /// Whether all of these checks are passed.
    pub(crate) fn passes(&self, checks: &[usize]) -> bool {
        checks
            .iter()
            .all(|check| self.verdicts.get(*check) == Some(&Verdict::Healthy))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.max_connections
            .is_some_and(|most| self.active() >= most)
    }

    /// Its weight in thousandths, less while its share is still growing.
    pub(crate) fn share(&self, slow_start: Duration, now: Moment) -> u64 {
        let whole = u64::from(self.weight).saturating_mul(1000);
        let Some(recovered) = self.recovered else {
            return whole;
        };
        let (age, span) = (
            now.since(recovered).as_millis() as u64,
            slow_start.as_millis() as u64,
        );
        if age >= span {
            return whole;
        }
        // Never less than a tenth, or it would learn nothing of its own load.
        let grown = whole.saturating_mul(age).checked_div(span).unwrap_or(whole);
        grown.max(whole / 10).max(1)
    }

    /// How much it may be given on a listener that asks for these checks.
    pub(crate) fn availability(
        &self,
        checks: &[usize],
        try_all: bool,
        now: Moment,
    ) -> Availability {
        if self.place.is_none() || self.order != Order::Ready {
            return Availability::Away;
        }
        let well = self.passes(checks);
        if !well && !try_all {
            return Availability::Down;
        }
        if self.is_full() {
            return Availability::Full;
        }
        match (well, self.passive.is_ejected(now), self.backup) {
            (true, false, false) => Availability::Primary,
            (true, false, true) => Availability::Backup,
            (true, true, false) => Availability::Ejected,
            (true, true, true) => Availability::EjectedBackup,
            (false, _, false) => Availability::Unhealthy,
            (false, _, true) => Availability::UnhealthyBackup,
        }
    }
}

//! One replica, as the balancer knows it.

use super::availability::Availability;
use super::order::{HeldOrder, Order};
use super::passive::Passive;
use crate::config::{self, WhenAllDown};
use crate::health::verdict::Verdict;
use crate::random;
use crate::time::Moment;
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

/// How replicas are named.
pub(crate) trait ReplicaNames {
    /// The replica of a name, also one that is no longer configured.
    fn id(&self, name: &str) -> Option<ReplicaId>;
    /// Whether a replica has this name.
    fn is_named(&self, id: ReplicaId, name: &str) -> bool;
}

/// What choosing a replica depends on.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) name: String,
    /// To be shown.
    pub(crate) address: String,
    /// Stands for the name on the board.
    pub(crate) key: u64,
    /// Where it is in the configuration's list; `None`: no longer there.
    pub(crate) position: Option<usize>,
    pub(crate) weight: u32,
    pub(crate) backup: bool,
    pub(crate) max_connections: Option<u32>,
    /// What the configuration wants of it.
    pub(crate) configured: Order,
    /// What the operator wants of it.
    pub(crate) held: HeldOrder,
    /// By check, in the configuration's order.
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) passive: Passive,
    /// Connections open over all VMs, as far as this one knows.
    pub(crate) active: u32,
    /// The most that `active` has been.
    pub(crate) most_active: u32,
    /// When it came back, while its share is still growing.
    pub(crate) recovered: Option<Moment>,
}

impl Replica {
    pub(crate) fn new(config: &config::Replica) -> Replica {
        Replica {
            name: config.name.clone(),
            address: String::new(),
            key: random::hash(config.name.as_bytes()),
            position: None,
            weight: config.weight.max(1),
            backup: config.backup,
            max_connections: config.max_connections,
            configured: config.state,
            held: config.state.into(),
            verdicts: Vec::new(),
            passive: Passive::default(),
            active: 0,
            most_active: 0,
            recovered: None,
        }
    }

    /// Takes in what the configuration says of it, and its position in the list.
    pub(crate) fn configure(&mut self, config: &config::Replica, position: usize) {
        self.position = Some(position);
        self.address.clone_from(&config.address);
        self.weight = config.weight.max(1);
        self.backup = config.backup;
        self.max_connections = config.max_connections;
        self.configured = config.state;
    }

    pub(crate) fn set_active(&mut self, active: u32) {
        self.active = active;
        self.most_active = self.most_active.max(active);
    }

    pub(crate) fn order(&self) -> Order {
        self.held.order
    }

    /// Whether it passes all checks there are.
    pub(crate) fn is_healthy(&self) -> bool {
        let mut verdicts = self.verdicts.iter();
        verdicts.all(|verdict| *verdict == Verdict::Healthy)
    }

    /// Whether it passes all of these checks.
    pub(crate) fn passes(&self, checks: &[usize]) -> bool {
        checks
            .iter()
            .all(|check| self.verdicts.get(*check) == Some(&Verdict::Healthy))
    }

    /// Whether it becomes more available as time goes by.
    pub(crate) fn changes_by_itself(&self) -> bool {
        self.recovered.is_some() || self.passive.ejected_until().is_some()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.max_connections.is_some_and(|most| self.active >= most)
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

    /// How available it is on a listener that asks for these checks.
    pub(crate) fn availability(
        &self,
        checks: &[usize],
        when_all_down: WhenAllDown,
        now: Moment,
    ) -> Availability {
        if self.position.is_none() || self.order() != Order::Ready {
            return Availability::Away;
        }
        let is_healthy = self.passes(checks);
        if !is_healthy && when_all_down == WhenAllDown::Refuse {
            return Availability::Down;
        }
        if self.is_full() {
            return Availability::Full;
        }
        match (is_healthy, self.passive.is_ejected(now), self.backup) {
            (true, false, false) => Availability::Primary,
            (true, false, true) => Availability::Backup,
            (true, true, false) => Availability::Ejected,
            (true, true, true) => Availability::EjectedBackup,
            (false, _, false) => Availability::Unhealthy,
            (false, _, true) => Availability::UnhealthyBackup,
        }
    }
}

//! One replica, as it is shown.

use super::check_status::CheckStatus;
use crate::balance::order::Order;
use crate::balance::replica::{Replica, ReplicaId};
use crate::balancer::Balancer;
use crate::health::reason::{Component, Reason};
use crate::health::verdict::Verdict;
use crate::health::watch::Watch;
use crate::time::Moment;
use serde::Serialize;

/// One replica.
#[derive(Clone, Debug, Serialize)]
pub struct ReplicaStatus {
    /// Its name.
    pub name: String,
    /// Where it is, as it is configured.
    pub address: String,
    /// What it is now, in one word.
    pub state: ReplicaState,
    /// Since when: an order or an ejection since it began, else by its checks; null: an
    /// order of the configuration.
    pub since_unix_ms: Option<u64>,
    /// Why it is not healthy.
    pub reason: Option<Reason>,
    /// The part of the registry at fault.
    pub component: Option<Component>,
    /// The replica's own text for it; may be empty.
    pub error: String,
    /// What the operator wants of it.
    pub order: Order,
    /// Why, in the operator's words; may be empty.
    pub comment: String,
    /// Whether it is given connections now.
    pub usable: bool,
    /// Its share relative to the others.
    pub weight: u32,
    /// Whether it serves only when no other can.
    pub backup: bool,
    /// At most this many connections; null: no limit.
    pub max_connections: Option<u32>,
    /// Its connections, counted over all VMs.
    pub connections: ConnectionStatus,
    /// How long it failed its checks since the balancer started, all in all.
    pub downtime_ms: u64,
    /// How long it is still held back for connect failures.
    pub held_for_ms: Option<u64>,
    /// How far its clock is ahead of most others', to half a second; null: not known.
    pub clock_skew_ms: Option<i64>,
    /// When its certificate expires; null: not known, as always in Envoy.
    pub certificate_expires_unix_ms: Option<i64>,
    /// What its probes say.
    pub checks: Vec<CheckStatus>,
}

/// What a replica is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplicaState {
    /// It passes its checks.
    Healthy,
    /// It does not.
    Unhealthy,
    /// It has not answered yet.
    Starting,
    /// It passes its checks, but connections to it failed recently.
    Held,
    /// It passes its checks and has all the connections it may have.
    Full,
    /// The operator wants it to get no new connections.
    Drain,
    /// The operator is working on it.
    Maintenance,
}

/// A replica's connections.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ConnectionStatus {
    /// Open now.
    pub active: u64,
    /// The most that were open at once.
    pub most: u64,
    /// That reached it, ever.
    pub total: u64,
    /// Connect attempts that failed, ever.
    pub failures: u64,
}

impl ReplicaStatus {
    /// What is known of a replica, with how far its clock is ahead; `None`: there is
    /// none of that number.
    pub(crate) fn of(
        balancer: &Balancer,
        (id, clock_skew_ms): (ReplicaId, Option<i64>),
        now: Moment,
    ) -> Option<ReplicaStatus> {
        let pool = balancer.pool();
        let replica = pool.get(id)?;
        let watches: Vec<&Watch> = balancer.prober().of(id).collect();
        let is_bad = |watch: &&&Watch| {
            let verdict = replica.verdicts.get(watch.check);
            verdict == Some(&Verdict::Unhealthy)
        };
        let unhealthy = watches.iter().find(is_bad).copied();
        let ejected_until = replica.passive.ejected_until().filter(|until| now < *until);
        let left_ms = ejected_until.map(|until| until.since(now).as_millis() as u64);
        let state = ReplicaState::of(replica, &watches, unhealthy, now);
        let since_unix_ms = match (state, left_ms) {
            (ReplicaState::Drain | ReplicaState::Maintenance, _) => replica.held.since_unix_ms,
            (ReplicaState::Held, Some(left_ms)) => {
                let lasted_ms = balancer.config().passive.hold_ms.saturating_sub(left_ms);
                Some(balancer.unix_ms().saturating_sub(lasted_ms))
            }
            _ => match unhealthy {
                Some(watch) => Some(watch.state.since_unix_ms),
                None => watches.iter().map(|watch| watch.state.since_unix_ms).max(),
            },
        };
        let failure = unhealthy.and_then(|watch| watch.state.failure.as_ref());
        let (tally, history) = (balancer.tally(id), balancer.history(replica));
        let checks = watches.iter();
        let observation = balancer.inspector().of(id);
        let certificate = observation.and_then(|it| it.certificate.as_ref());
        Some(ReplicaStatus {
            name: replica.name.clone(),
            address: replica.address.clone(),
            state,
            since_unix_ms,
            reason: failure.map(|failure| failure.reason),
            component: failure.and_then(|failure| failure.component),
            error: failure.map(|it| it.text.clone()).unwrap_or_default(),
            order: replica.order(),
            comment: replica.held.comment.clone(),
            usable: pool.is_usable(id),
            weight: replica.weight,
            backup: replica.backup,
            max_connections: replica.max_connections,
            connections: ConnectionStatus {
                active: u64::from(tally.active),
                most: u64::from(history.most_active.max(tally.active)),
                total: tally.connections,
                failures: tally.failures,
            },
            downtime_ms: history.down_ms,
            held_for_ms: left_ms,
            clock_skew_ms,
            certificate_expires_unix_ms: certificate
                .map(|certificate| certificate.not_after.saturating_mul(1000)),
            checks: checks
                .filter_map(|watch| CheckStatus::of(&balancer.config().checks, watch))
                .collect(),
        })
    }
}

impl ReplicaState {
    fn of(
        replica: &Replica,
        watches: &[&Watch],
        unhealthy: Option<&Watch>,
        now: Moment,
    ) -> ReplicaState {
        match replica.order() {
            Order::Drain => return ReplicaState::Drain,
            Order::Maintenance => return ReplicaState::Maintenance,
            Order::Ready => {}
        }
        if watches.iter().any(|it| !it.state.health.settled) {
            ReplicaState::Starting
        } else if unhealthy.is_some() {
            ReplicaState::Unhealthy
        } else if replica.passive.is_ejected(now) {
            ReplicaState::Held
        } else if replica.is_full() {
            ReplicaState::Full
        } else {
            ReplicaState::Healthy
        }
    }
}

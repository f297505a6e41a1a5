//! What is going on, to be shown: the body of `GET /status`, version 1.

use crate::balance::replica::{Order, Replica, ReplicaId};
use crate::balancer::Balancer;
use crate::config::Policy;
use crate::health::reason::{Component, Reason};
use crate::health::schedule::Watch;
use crate::health::verdict::Verdict;
use crate::shared::board::{self, DETAILS, Store};
use crate::shared::sync::Detail;
use crate::time::Moment;
use serde::Serialize;

/// The whole of it. Times are Unix milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The version of this shape: 1. Fields may be added without a new one.
    pub version: u32,
    /// Of the program.
    pub program: &'static str,
    /// When this was said.
    pub now_unix_ms: u64,
    /// The registry's name.
    pub fqdn: String,
    /// How one of several usable replicas is picked.
    pub policy: Policy,
    /// Whether enough replicas are usable; the same as `/_ping` says.
    pub healthy: bool,
    /// Why not; empty when healthy.
    pub error: String,
    /// So many replicas have to be usable.
    pub min_healthy: u32,
    /// Who probes.
    pub lease: LeaseStatus,
    /// The service's ports.
    pub listeners: Vec<ListenerStatus>,
    /// The replicas, in the operator's order.
    pub replicas: Vec<ReplicaStatus>,
}

/// Who probes.
#[derive(Clone, Debug, Serialize)]
pub struct LeaseStatus {
    /// Whether the VM that answers is the one that probes.
    pub mine: bool,
    /// Since when the holder has been the holder, as this VM knows it.
    pub held_for_ms: Option<u64>,
    /// Since the holder's last sign of life.
    pub renewed_ms_ago: Option<u64>,
}

/// One of the service's ports.
#[derive(Clone, Debug, Serialize)]
pub struct ListenerStatus {
    /// The port.
    pub port: u16,
    /// How many replicas can serve it.
    pub usable: usize,
    /// The checks a replica must pass to serve it.
    pub checks: Vec<String>,
}

/// One replica.
#[derive(Clone, Debug, Serialize)]
pub struct ReplicaStatus {
    /// Its name.
    pub name: String,
    /// What it is now, in one word.
    pub state: State,
    /// Since when: an order or a hold since it began, else by its checks.
    pub since_unix_ms: Option<u64>,
    /// Why it is not healthy.
    pub reason: Option<Reason>,
    /// The part of the registry at fault.
    pub component: Option<Component>,
    /// The replica's own words for it; may be empty.
    pub error: String,
    /// What the operator wants of it.
    pub order: Order,
    /// Whether it is given connections now.
    pub usable: bool,
    /// Its share relative to the others.
    pub weight: u32,
    /// Whether it serves only when no other can.
    pub backup: bool,
    /// At most so many connections.
    pub max_connections: Option<u32>,
    /// Its connections, counted over all VMs.
    pub connections: ConnectionStatus,
    /// How long it is still held back for connect failures.
    pub held_for_ms: Option<u64>,
    /// What its probes say.
    pub checks: Vec<CheckStatus>,
}

/// What a replica is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It passes its checks.
    Healthy,
    /// It does not.
    Unhealthy,
    /// It has not answered yet.
    Starting,
    /// It passes its checks, but connections to it failed of late.
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
    /// That reached it, ever.
    pub total: u64,
    /// Connect attempts that failed, ever.
    pub failures: u64,
}

/// One check of one replica.
#[derive(Clone, Debug, Serialize)]
pub struct CheckStatus {
    /// The check's name.
    pub name: String,
    /// What holds.
    pub verdict: Verdict,
    /// Whether an answer stands behind it.
    pub settled: bool,
    /// Since when it holds.
    pub since_unix_ms: u64,
    /// What the last answer was like.
    pub last: Verdict,
    /// So many in a row were.
    pub streak: u32,
    /// What was wrong with the last bad answer.
    pub reason: Option<Reason>,
    /// The part of the registry it named.
    pub component: Option<Component>,
    /// Its own words; may be empty.
    pub error: String,
    /// Good answers, ever.
    pub good: u64,
    /// Bad answers, ever.
    pub bad: u64,
    /// The last answers, oldest first.
    pub answers: Vec<AnswerStatus>,
}

/// One answer of late.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AnswerStatus {
    /// When.
    pub unix_ms: u64,
    /// After how many microseconds.
    pub latency_us: u32,
    /// What was wrong with it; null for a good one.
    pub reason: Option<Reason>,
}

impl Balancer {
    /// The balancer's own health, and what is wrong with it.
    ///
    /// # Errors
    ///
    /// Which port has too few replicas, and what is wrong with the others.
    pub fn health(&self) -> Result<(), String> {
        let needed = self.config.min_healthy as usize;
        for listener in &self.pool.listeners {
            let usable = self.pool.usable(listener);
            if usable >= needed {
                continue;
            }
            let mut told = format!(
                "port {}: {usable} of {} replicas usable, {needed} needed",
                listener.port,
                self.pool.ring.len()
            );
            for id in self.pool.ring.iter().take(NAMED) {
                let Some(replica) = self.pool.get(*id) else {
                    continue;
                };
                let availability = self.pool.availability(listener, *id);
                if !availability.is_well() {
                    told.push_str(&format!(
                        "; {}: {}",
                        replica.name,
                        self.in_short(*id, replica)
                    ));
                }
            }
            return Err(told);
        }
        Ok(())
    }

    fn in_short(&self, id: ReplicaId, replica: &Replica) -> String {
        if replica.order != Order::Ready {
            return replica.order.name().to_owned();
        }
        let mut watches = self.probes.watches.iter();
        let bad = watches.find(|watch| {
            watch.replica == id && replica.verdicts.get(watch.check) == Some(&Verdict::Unhealthy)
        });
        match bad.map(|watch| &watch.state.failure) {
            Some(Some(failure)) => failure.in_one_line(),
            Some(None) => "unhealthy".to_owned(),
            None => "connect failures of late".to_owned(),
        }
    }

    /// What is going on, as this VM knows it and the one that probes has left it.
    pub fn status(&mut self, store: &mut impl Store, now: Moment) -> Status {
        self.learn_details(store);
        let health = self.health();
        let lease = self.member.as_ref().map(|member| &member.lease);
        let ms = |since: Moment| now.since(since).as_millis() as u64;
        let listeners = self.pool.listeners.iter().map(|listener| ListenerStatus {
            port: listener.port,
            usable: self.pool.usable(listener),
            checks: listener
                .checks
                .iter()
                .filter_map(|check| Some(self.config.checks.get(*check)?.name.clone()))
                .collect(),
        });
        Status {
            version: 1,
            program: env!("CARGO_PKG_VERSION"),
            now_unix_ms: self.unix_ms,
            fqdn: self.config.fqdn.clone(),
            policy: self.config.policy,
            healthy: health.is_ok(),
            error: health.err().unwrap_or_default(),
            min_healthy: self.config.min_healthy,
            lease: LeaseStatus {
                mine: self.is_holder(),
                held_for_ms: lease.map(|lease| ms(lease.since())),
                renewed_ms_ago: lease.map(|lease| ms(lease.seen_at())),
            },
            listeners: listeners.collect(),
            replicas: self
                .pool
                .ring
                .iter()
                .filter_map(|id| self.replica_status(*id, now))
                .collect(),
        }
    }

    /// Another VM probes: shows what it left on the board.
    pub(crate) fn learn_details(&mut self, store: &mut impl Store) {
        if self.is_holder() {
            return;
        }
        let known: Vec<Detail> = board::read(store, DETAILS).0.unwrap_or_default();
        for detail in known {
            let Some(id) = self.pool.id(&detail.replica) else {
                continue;
            };
            let check = self
                .config
                .checks
                .iter()
                .position(|check| check.name == detail.check);
            let mut watches = self.probes.watches.iter_mut();
            if let Some(watch) = watches.find(|it| it.replica == id && Some(it.check) == check) {
                watch.state = detail.state;
            }
        }
    }

    fn replica_status(&self, id: ReplicaId, now: Moment) -> Option<ReplicaStatus> {
        let replica = self.pool.get(id)?;
        let watches: Vec<&Watch> = self
            .probes
            .watches
            .iter()
            .filter(|watch| watch.replica == id)
            .collect();
        let bad = |watch: &&&Watch| replica.verdicts.get(watch.check) == Some(&Verdict::Unhealthy);
        let unhealthy = watches.iter().find(bad);
        let is_ejected = replica.passive.is_ejected(now);
        let state = match (replica.order, unhealthy) {
            (Order::Drain, _) => State::Drain,
            (Order::Maintenance, _) => State::Maintenance,
            (Order::Ready, _) if watches.iter().any(|it| !it.state.health.settled) => {
                State::Starting
            }
            (Order::Ready, Some(_)) => State::Unhealthy,
            (Order::Ready, None) if is_ejected => State::Held,
            (Order::Ready, None) if replica.is_full() => State::Full,
            (Order::Ready, None) => State::Healthy,
        };
        let since = unhealthy.map(|watch| watch.state.since_unix_ms);
        let since = since.or_else(|| watches.iter().map(|watch| watch.state.since_unix_ms).max());
        let held_for = replica.passive.ejected_until().filter(|_| is_ejected);
        let held_for = held_for.map(|until| until.since(now).as_millis() as u64);
        let since = match (state, held_for) {
            (State::Drain | State::Maintenance, _) => Some(replica.ordered_unix_ms),
            (State::Held, Some(left)) => {
                let held = self.config.passive.hold_ms.saturating_sub(left);
                Some(self.unix_ms.saturating_sub(held))
            }
            _ => since,
        };
        let failure = unhealthy.and_then(|watch| watch.state.failure.as_ref());
        let sum = |here: u64, elsewhere: u64| here.saturating_add(elsewhere);
        Some(ReplicaStatus {
            name: replica.name.clone(),
            state,
            since_unix_ms: since,
            reason: failure.map(|failure| failure.reason),
            component: failure.and_then(|failure| failure.component),
            error: failure
                .map(|failure| failure.text.clone())
                .unwrap_or_default(),
            order: replica.order,
            usable: self.pool.is_usable(id),
            weight: replica.weight,
            backup: replica.backup,
            max_connections: replica.max_connections,
            connections: ConnectionStatus {
                active: u64::from(replica.active()),
                total: sum(replica.here.connections, replica.elsewhere.connections),
                failures: sum(replica.here.failures, replica.elsewhere.failures),
            },
            held_for_ms: held_for,
            checks: watches
                .iter()
                .filter_map(|watch| self.check_status(watch))
                .collect(),
        })
    }

    fn check_status(&self, watch: &Watch) -> Option<CheckStatus> {
        let state = &watch.state;
        let failure = state.failure.as_ref();
        Some(CheckStatus {
            name: self.config.checks.get(watch.check)?.name.clone(),
            verdict: state.health.verdict,
            settled: state.health.settled,
            since_unix_ms: state.since_unix_ms,
            last: state.health.last,
            streak: state.health.streak,
            reason: failure.map(|failure| failure.reason),
            component: failure.and_then(|failure| failure.component),
            error: failure
                .map(|failure| failure.text.clone())
                .unwrap_or_default(),
            good: state.good,
            bad: state.bad,
            answers: state
                .answers
                .iter()
                .map(|answer| AnswerStatus {
                    unix_ms: answer.unix_ms,
                    latency_us: answer.latency_us,
                    reason: answer.reason,
                })
                .collect(),
        })
    }
}

/// So many replicas are named in the reason of a failing `/_ping`.
const NAMED: usize = 16;

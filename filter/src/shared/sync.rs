//! What the VMs of a process tell each other, and when.

use crate::balance::replica::{Order, ReplicaId};
use crate::balance::tally::Tally;
use crate::balancer::{Balancer, Duty, Effect, Level, News};
use crate::health::check_state::CheckState;
use crate::health::verdict::Verdict;
use crate::random::{self, Random};
use crate::shared::board::{self, DETAILS, ORDERS, Store, VERDICTS, VM_IDS};
use crate::shared::connection_counts::ConnectionCounts;
use crate::shared::lease::{Holder, Lease};
use crate::time::Moment;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// What a VM is to the others.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) lease: Lease,
    counts: ConnectionCounts,
    /// Whether the others' counts were read before; the first are no news.
    knows_others: bool,
}

/// A check's health as the holder of the lease leaves it to the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Detail {
    pub(crate) replica: String,
    pub(crate) check: String,
    pub(crate) state: CheckState,
}

/// Who is healthy, in few bytes: hashes of a replica's and a check's name.
type Verdicts = Vec<(u64, u64, Verdict)>;
/// Only what differs from ready.
type Orders = Vec<(String, Order, UnixMs)>;
/// Since when.
type UnixMs = u64;

impl Balancer {
    /// Meets the other VMs on the board, as far as that is due: the lease, the
    /// counts, the news. To be called at each tick and after each answer.
    pub fn exchange(&mut self, store: &mut impl Store, now: Moment) {
        if board::version(store) != self.version {
            self.refresh(store, now);
        }
        if now >= self.beat_due || self.member.is_none() {
            self.beat_due = now.plus(self.heartbeat());
            self.renew(store, now);
            self.count(store, now);
        }
        if self.news == News::Verdicts && self.is_holder() {
            self.tell(store, now);
        }
    }

    /// Reads verdicts and orders from the board.
    pub fn refresh(&mut self, store: &mut impl Store, now: Moment) {
        // First: what changes after this is read once more.
        self.version = board::version(store);
        let orders: Orders = board::read(store, ORDERS).0.unwrap_or_default();
        for id in self.pool.ids() {
            let Some(name) = self.name(id) else { continue };
            let told = orders.iter().find(|(told, ..)| told == name);
            let (order, since) = told.map_or_else(Default::default, |(_, order, at)| (*order, *at));
            self.set_order(id, order, since, now);
        }
        if self.is_holder() {
            return;
        }
        let verdicts: Verdicts = board::read(store, VERDICTS).0.unwrap_or_default();
        let verdicts: HashMap<(u64, u64), Verdict> = verdicts
            .into_iter()
            .map(|(replica, check, verdict)| ((replica, check), verdict))
            .collect();
        for (id, check, key) in self.keys() {
            if let Some(verdict) = verdicts.get(&key) {
                self.set_verdict(id, check, *verdict, now);
            }
        }
    }

    /// Has a replica serve, drain or rest, in all VMs.
    ///
    /// # Errors
    ///
    /// [`board::Lost`] when the board could not be written; nothing changed.
    pub fn order(
        &mut self,
        store: &mut impl Store,
        id: ReplicaId,
        order: Order,
        now: Moment,
    ) -> Result<(), board::Lost> {
        let Some(name) = self.name(id).map(str::to_owned) else {
            return Err(board::Lost);
        };
        let mut since = self.unix_ms;
        board::update(store, ORDERS, |orders: &mut Orders| {
            // The same order once more changes nothing, the time neither.
            let before = orders
                .iter()
                .find(|(told, held, _)| *told == name && *held == order);
            since = before.map_or(since, |(.., at)| *at);
            orders.retain(|(told, ..)| *told != name);
            if order != Order::Ready {
                orders.push((name.clone(), order, since));
            }
        })?;
        board::announce(store);
        self.set_order(id, order, since, now);
        let told = format!(
            "replica \"{name}\": {}, by order of the operator",
            order.name()
        );
        self.effects.push_back(Effect::Log(Level::Info, told));
        Ok(())
    }

    /// Leaves probing to the others, because a VM with another configuration takes
    /// this one's place. Open connections go on, and count.
    pub fn retire(&mut self, store: &mut impl Store, now: Moment) {
        self.duty = Duty::Retired;
        if self.is_holder() {
            self.leave_details(store, now);
        }
        if let Some(member) = &mut self.member {
            member.lease.resign(store);
        }
        self.probes.stop();
        // Not only at the next heartbeat: there may be none.
        self.count(store, now);
    }

    /// Where connections are limited, tells this VM's counts and learns the others':
    /// to be called before a choice, which then keeps to limits over all VMs, and
    /// after it, for the others' next choice.
    pub fn agree(&mut self, store: &mut impl Store, now: Moment) {
        if self.pool.limited {
            self.count(store, now);
        }
    }

    /// How often this VM gives a sign of life.
    pub(crate) fn heartbeat(&self) -> Duration {
        // A place that is free again is told at the next heartbeat.
        let most = if self.pool.limited { 50 } else { 250 };
        Duration::from_millis((self.config.health.interval_ms / 4).clamp(25, most))
    }

    /// After so long without a sign of life a VM counts as ended.
    pub(crate) fn ttl(&self) -> Duration {
        (self.heartbeat() * 4).max(Duration::from_millis(400))
    }

    /// Renews the lease, or takes it from a holder that is no more.
    fn renew(&mut self, store: &mut impl Store, now: Moment) {
        let ttl = self.ttl();
        let random = &mut self.random;
        let member = self.member.get_or_insert_with(|| {
            let vm_id = board::update(store, VM_IDS, |ids: &mut u64| {
                *ids = ids.wrapping_add(1);
                *ids
            });
            // Without a vm_id a random number has to do; never 0, the ended's number.
            let me = vm_id.unwrap_or_else(|_| random.bits() | 1);
            *random = Random::seeded(random.bits() ^ random::mix(me));
            Member {
                lease: Lease::new(me, now),
                counts: ConnectionCounts::new(me),
                knows_others: false,
            }
        });
        if self.duty == Duty::Retired {
            return;
        }
        let was_mine = member.lease.is_mine();
        match (was_mine, member.lease.renew(store, now, ttl)) {
            (false, Holder::Me) => self.take_over(store, now),
            (true, Holder::NotMe) => self.probes.stop(),
            (true, Holder::Me) | (false, Holder::NotMe) => {}
        }
    }

    /// Goes on where the last holder of the lease stopped.
    fn take_over(&mut self, store: &mut impl Store, now: Moment) {
        let known: Vec<Detail> = board::read(store, DETAILS).0.unwrap_or_default();
        // What was announced is newer than the details may be.
        let announced: Verdicts = board::read(store, VERDICTS).0.unwrap_or_default();
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
        for (number, (id, check, key)) in self.keys().into_iter().enumerate() {
            let told = announced
                .iter()
                .find(|(one, other, _)| (*one, *other) == key);
            let Some(watch) = self.probes.watches.get_mut(number) else {
                continue;
            };
            if let Some((_, _, verdict)) = told {
                watch.state.health.settled |= watch.state.health.verdict != *verdict;
                watch.state.health.verdict = *verdict;
            }
            let verdict = watch.state.health.verdict;
            self.set_verdict(id, check, verdict, now);
        }
        self.probes.start(now);
        self.metrics.forget_gauges();
        self.news = News::Verdicts;
    }

    /// Tells the others the verdicts. Only a holder that still is one may.
    fn tell(&mut self, store: &mut impl Store, now: Moment) {
        self.renew(store, now);
        if !self.is_holder() {
            return;
        }
        let verdicts: Verdicts = self
            .keys()
            .into_iter()
            .zip(&self.probes.watches)
            .map(|((_, _, (replica, check)), watch)| (replica, check, watch.state.health.verdict))
            .collect();
        let (_, cas) = board::read::<Verdicts>(store, VERDICTS);
        if board::write(store, VERDICTS, &verdicts, cas).is_ok() {
            self.news = News::None;
            board::announce(store);
            self.version = board::version(store);
            self.leave_details(store, now);
        }
    }

    /// Leaves what a successor, and whoever shows the status, must know.
    fn leave_details(&mut self, store: &mut impl Store, now: Moment) {
        let many = self.probes.watches.len() > 64;
        self.details_due = now.plus(Duration::from_secs(if many { 5 } else { 1 }));
        let (_, cas) = board::read::<()>(store, DETAILS);
        // Lost to a VM that is the holder now: it knows better.
        let _ = board::write(store, DETAILS, &self.details(), cas);
    }

    /// What this VM knows of each replica's health.
    pub(crate) fn details(&self) -> Vec<Detail> {
        let detail = |watch: &crate::health::schedule::Watch| {
            Some(Detail {
                replica: self.name(watch.replica)?.to_owned(),
                check: self.config.checks.get(watch.check)?.name.clone(),
                state: watch.state.clone(),
            })
        };
        self.probes.watches.iter().filter_map(detail).collect()
    }

    /// Tells this VM's counts and learns the others'.
    fn count(&mut self, store: &mut impl Store, now: Moment) {
        let ttl = self.ttl();
        let used = self
            .pool
            .replicas
            .iter()
            .filter(|replica| replica.here != Tally::default());
        let mine: Vec<(u64, Tally)> = used.map(|replica| (replica.key, replica.here)).collect();
        let Some(member) = &mut self.member else {
            return;
        };
        // Lost to others again and again: the next beat will do.
        if let Ok(others) = member.counts.beat(store, now, ttl, &mine) {
            let knows_others = std::mem::replace(&mut member.knows_others, true);
            for id in self.pool.ids() {
                let Some(replica) = self.pool.get_mut(id) else {
                    continue;
                };
                let tally = others.get(&replica.key).copied().unwrap_or_default();
                let before = std::mem::replace(&mut replica.elsewhere, tally);
                if before.active != tally.active {
                    self.pool.update(id, now);
                }
                let failures = tally.failures.saturating_sub(before.failures);
                if knows_others && failures > 0 {
                    self.hold(id, failures, now);
                }
            }
        }
        self.metrics.count(&self.pool, &mut self.effects);
        if self.is_holder() {
            self.metrics.gauge(&self.pool, &mut self.effects);
            if now >= self.details_due {
                self.leave_details(store, now);
            }
        }
    }

    /// For each watch in order: its replica, its check, and its key on the board.
    fn keys(&self) -> Vec<(ReplicaId, usize, (u64, u64))> {
        let checks: Vec<u64> = self
            .config
            .checks
            .iter()
            .map(|check| random::hash(check.name.as_bytes()))
            .collect();
        let key = |watch: &crate::health::schedule::Watch| {
            let replica = self
                .pool
                .get(watch.replica)
                .map_or(0, |replica| replica.key);
            let check = checks.get(watch.check).copied().unwrap_or(0);
            (watch.replica, watch.check, (replica, check))
        };
        self.probes.watches.iter().map(key).collect()
    }
}

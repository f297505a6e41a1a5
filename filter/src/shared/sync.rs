//! When and what the VMs of a process share: owns this VM's part in the lease, in
//! the counts, and what it has seen of the board.

use super::board::{
    self, DETAILS, EVENTS, HISTORIES, Lost, OBSERVATIONS, ORDERS, OUTAGES, Store, VERDICTS,
};
use super::lease::{Holder, Lease};
use super::member::{Member, Others};
use super::orders::Orders;
use super::pace::Pace;
use crate::balance::order::{HeldOrder, NewOrder, Order};
use crate::balance::outage::Outages;
use crate::balance::tally::Tally;
use crate::compare::observation::Observation;
use crate::health::verdict::Verdict;
use crate::health::watch::{Detail, WatchKey};
use crate::history::event::{Event, Events};
use crate::history::replica_history::ReplicaHistory;
use crate::random::Random;
use crate::time::Moment;
use std::collections::HashMap;
use std::time::Duration;

/// This VM's part in what the VMs share.
#[derive(Debug)]
pub(crate) struct Sync {
    pace: Pace,
    /// What this VM is to the others; `None` before the first heartbeat.
    member: Option<Member>,
    /// The board's version this VM has seen; `None`: none since its configuration.
    version: Option<u64>,
    duty: Duty,
    news: News,
    beat_due: Moment,
    details_due: Moment,
}

/// Whether this VM takes its part in probing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    Active,
    /// Another VM has taken its place; what is left are open connections.
    Retired,
}

/// Whether there is something that the other VMs do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    None,
    Verdicts,
}

/// What renewing the lease came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handover {
    /// This VM is to probe from now on.
    Gained,
    /// Another VM probes now.
    Lost,
    /// All is as it was.
    None,
}

/// The numbers of what the holder wrote last, from before it renewed the lease: if
/// another VM has taken the lease and written since, they are out of date, and so a
/// holder that stood still between its renewal and its write overwrites nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    verdicts: u32,
    details: u32,
    histories: u32,
}

type Verdicts = Vec<(WatchKey, Verdict)>;

impl Sync {
    pub(crate) fn new(pace: Pace) -> Sync {
        Sync {
            pace,
            member: None,
            version: None,
            duty: Duty::Active,
            news: News::None,
            beat_due: Moment::START,
            details_due: Moment::START,
        }
    }

    /// Takes part in probing again, if it had retired.
    pub(crate) fn resume(&mut self) {
        self.duty = Duty::Active;
    }

    /// The configuration is another: the board may know of replicas that are new in
    /// it, and the others are to know the verdicts.
    pub(crate) fn configure(&mut self, pace: Pace) {
        self.pace = pace;
        self.version = None;
        if self.is_holder() {
            self.news = News::Verdicts;
        }
    }

    /// Whether this VM is the one that probes.
    pub(crate) fn is_holder(&self) -> bool {
        self.lease().is_some_and(Lease::is_mine)
    }

    /// What this VM knows of the lease; `None` before the first heartbeat.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.member.as_ref().map(|member| &member.lease)
    }

    /// Whether a VM that had ended when this one started counts as ended by now.
    pub(crate) fn predecessor_has_ended(&self, now: Moment) -> bool {
        now.age() > self.pace.ttl()
    }

    /// Whether the board has news for this VM.
    pub(crate) fn is_behind(&self, store: &mut impl Store) -> bool {
        self.version != Some(store.version())
    }

    /// Reads the operator's orders, and counts as up to date from here on: what
    /// changes after this is read once more.
    pub(crate) fn read_orders(&mut self, store: &mut impl Store) -> Orders {
        self.version = Some(store.version());
        board::read(store, ORDERS).0.unwrap_or_default()
    }

    /// Reads the verdicts that the VM that probes has announced.
    pub(crate) fn read_verdicts(&self, store: &mut impl Store) -> HashMap<WatchKey, Verdict> {
        let verdicts: Verdicts = board::read(store, VERDICTS).0.unwrap_or_default();
        verdicts.into_iter().collect()
    }

    /// Reads what the VM that probes has left.
    pub(crate) fn read_details(&self, store: &mut impl Store) -> Vec<Detail> {
        board::read(store, DETAILS).0.unwrap_or_default()
    }

    /// When the next heartbeat is due.
    pub(crate) fn beat_due(&self) -> Moment {
        self.beat_due
    }

    /// Whether a heartbeat is due: the lease to be renewed, the counts to be shared.
    pub(crate) fn is_beat_due(&self, now: Moment) -> bool {
        now >= self.beat_due || self.member.is_none()
    }

    /// Renews the lease, or takes it from a holder that has ended, and plans the
    /// next heartbeat.
    pub(crate) fn beat(
        &mut self,
        store: &mut impl Store,
        random: &mut Random,
        now: Moment,
    ) -> Handover {
        self.beat_due = now.plus(self.pace.heartbeat);
        self.renew(store, random, now)
    }

    /// Renews the lease, or takes it from a holder that has ended.
    pub(crate) fn renew(
        &mut self,
        store: &mut impl Store,
        random: &mut Random,
        now: Moment,
    ) -> Handover {
        let member = self
            .member
            .get_or_insert_with(|| Member::join(store, random, now));
        if self.duty == Duty::Retired {
            return Handover::None;
        }
        let was_mine = member.lease.is_mine();
        match (was_mine, member.lease.renew(store, now, self.pace.ttl())) {
            (false, Holder::Me) => {
                self.news = News::Verdicts;
                Handover::Gained
            }
            (true, Holder::NotMe) => Handover::Lost,
            (true, Holder::Me) | (false, Holder::NotMe) => Handover::None,
        }
    }

    /// Whether the lease, ours so far, has passed to another VM.
    pub(crate) fn look(&mut self, store: &mut impl Store, now: Moment) -> Handover {
        match &mut self.member {
            Some(member) if member.lease.is_mine() => match member.lease.look(store, now) {
                Holder::Me => Handover::None,
                Holder::NotMe => Handover::Lost,
            },
            _ => Handover::None,
        }
    }

    /// A verdict changed, which the others do not know yet.
    pub(crate) fn has_news(&mut self) {
        self.news = News::Verdicts;
    }

    /// What this VM found out and has not announced does not count any more.
    pub(crate) fn drop_news(&mut self) {
        self.news = News::None;
    }

    /// Whether verdicts are to be announced by this VM.
    pub(crate) fn must_announce(&self) -> bool {
        self.news == News::Verdicts && self.is_holder()
    }

    /// What [`Sync::announce`] and [`Sync::leave_details`] need. The lease is to be
    /// renewed between this and those.
    pub(crate) fn claim(&self, store: &mut impl Store) -> Claim {
        Claim {
            verdicts: board::number(store, VERDICTS),
            details: board::number(store, DETAILS),
            histories: board::number(store, HISTORIES),
        }
    }

    /// Announces the verdicts to the other VMs. Lost to another VM, it is tried again
    /// with the next heartbeat. The board's version that this makes is not known as
    /// seen: an order given meanwhile would never be read.
    pub(crate) fn announce(
        &mut self,
        store: &mut impl Store,
        claim: Claim,
        verdicts: &[(WatchKey, Verdict)],
    ) {
        if board::write(store, VERDICTS, &verdicts, claim.verdicts).is_ok() {
            self.news = News::None;
            store.announce();
        }
    }

    /// Whether details are to be left by this VM.
    pub(crate) fn are_details_due(&self, now: Moment) -> bool {
        self.is_holder() && now >= self.details_due
    }

    /// Has details left the next time, however long ago the last were.
    pub(crate) fn make_details_due(&mut self) {
        self.details_due = Moment::START;
    }

    /// Leaves what the next holder, and the VMs that show the status, must know.
    pub(crate) fn leave_details(
        &mut self,
        store: &mut impl Store,
        claim: Claim,
        details: &[Detail],
        now: Moment,
    ) {
        let seconds = if details.len() > 64 { 5 } else { 1 };
        self.details_due = now.plus(Duration::from_secs(seconds));
        // Lost to a VM that is the holder now: it knows better.
        let _ = board::write(store, DETAILS, &details, claim.details);
    }

    /// Leaves what each replica has been through, for the next holder and for the VMs that
    /// show the status.
    pub(crate) fn leave_histories(
        &self,
        store: &mut impl Store,
        claim: Claim,
        histories: &[(u64, ReplicaHistory)],
    ) {
        // Lost to a VM that is the holder now: it goes on from what was left before.
        let _ = board::write(store, HISTORIES, &histories, claim.histories);
    }

    /// Reads what each replica has been through, as the VM that probes has left it.
    pub(crate) fn read_histories(&self, store: &mut impl Store) -> Vec<(u64, ReplicaHistory)> {
        board::read(store, HISTORIES).0.unwrap_or_default()
    }

    /// Adds to the last events.
    pub(crate) fn leave_events(&self, store: &mut impl Store, events: &[Event]) {
        let add = |kept: &mut Events| kept.add(events);
        // Lost, they are in the log alone.
        let _ = board::update(store, EVENTS, add);
    }

    /// Leaves what the replicas' answers revealed, for the next holder and for the VMs
    /// that show the status.
    pub(crate) fn leave_observations(
        &self,
        store: &mut impl Store,
        observations: &[(String, Observation)],
    ) {
        let cas = board::number(store, OBSERVATIONS);
        // Lost to a VM that is the holder now, which asks for itself.
        let _ = board::write(store, OBSERVATIONS, &observations, cas);
    }

    /// Reads what the VM that probes has left of the replicas' answers.
    pub(crate) fn read_observations(&self, store: &mut impl Store) -> Vec<(String, Observation)> {
        board::read(store, OBSERVATIONS).0.unwrap_or_default()
    }

    /// Leaves which ports have no replica left, for the next holder: each is logged once.
    pub(crate) fn leave_outages(&self, store: &mut impl Store, outages: &Outages) {
        let cas = board::number(store, OUTAGES);
        // Lost to a VM that is the holder now, which looks for itself.
        let _ = board::write(store, OUTAGES, outages, cas);
    }

    /// Reads which ports had no replica left for the VM that probed before.
    pub(crate) fn read_outages(&self, store: &mut impl Store) -> Outages {
        board::read(store, OUTAGES).0.unwrap_or_default()
    }

    /// Shares this VM's counts and learns the sums of the others', by replica's key;
    /// and whether they were known before. `None`: the next time will do.
    pub(crate) fn share_counts(
        &mut self,
        store: &mut impl Store,
        mine: &[(u64, Tally)],
        now: Moment,
    ) -> Option<(HashMap<u64, Tally>, Others)> {
        let ttl = self.pace.ttl();
        let member = self.member.as_mut()?;
        let tallies = member.counts.beat(store, now, ttl, mine).ok()?;
        let before = std::mem::replace(&mut member.others, Others::Known);
        Some((tallies, before))
    }

    /// Leaves this VM's totals to the others: it has nothing open, and ends.
    pub(crate) fn end_counts(&mut self, store: &mut impl Store, mine: &[(u64, Tally)]) {
        if let Some(member) = &mut self.member {
            // Lost, it is taken for ended a little later.
            let _ = member.counts.end(store, mine);
        }
    }

    /// Writes an order for all VMs; what holds from now on. The replica is given with what
    /// the configuration wants of it.
    ///
    /// # Errors
    ///
    /// [`Lost`] when the board could not be written.
    pub(crate) fn order(
        &mut self,
        store: &mut impl Store,
        replica: (&str, Order),
        new: NewOrder<'_>,
        unix_ms: u64,
    ) -> Result<HeldOrder, Lost> {
        let give = |orders: &mut Orders| orders.give(replica, new, unix_ms);
        let held = board::update(store, ORDERS, give)?;
        store.announce();
        Ok(held)
    }

    /// Forgets orders that a later change of the configuration has ended, or they would
    /// hold again with the next one. Nobody need look: they hold no more as it is.
    pub(crate) fn drop_void_orders(
        &self,
        store: &mut impl Store,
        configured: impl Fn(&str) -> Option<Order>,
    ) {
        let drop_void = |orders: &mut Orders| orders.drop_void(&configured);
        // Lost, it is done when the board has news again.
        let _ = board::update(store, ORDERS, drop_void);
    }

    /// Leaves probing to the others: gives up the lease.
    pub(crate) fn retire(&mut self, store: &mut impl Store) {
        self.duty = Duty::Retired;
        if let Some(member) = &mut self.member {
            member.lease.resign(store);
        }
    }
}

#[cfg(test)]
mod tests;

//! What is watched of the replicas: their health, whether they are alike, the ports that
//! have none left, and what each has been through. The VM that holds the lease does so
//! for all; the others show what it leaves on the board.

use crate::balance::order::Order;
use crate::balance::outage::{Logged, Outages, Situation};
use crate::balance::pool::Pool;
use crate::balance::replica::{Replica, ReplicaId};
use crate::compare::InspectionId;
use crate::compare::inspector::Inspector;
use crate::compare::observation::Observation;
use crate::config::Config;
use crate::effect::Effects;
use crate::health::probe_request::ProbeId;
use crate::health::probe_response::ProbeResponse;
use crate::health::prober::Prober;
use crate::health::watch::Change;
use crate::history::replica_history::{Histories, ReplicaHistory};
use crate::random::Random;
use crate::shared::board::Store;
use crate::shared::sync::{Claim, Sync};
use crate::time::{Moment, Reading};

/// What is watched of the replicas.
#[derive(Debug)]
pub(crate) struct Monitor {
    prober: Prober,
    inspector: Inspector,
    outages: Outages,
    histories: Histories,
}

impl Monitor {
    /// Nothing is asked before [`Monitor::start`].
    pub(crate) fn new(config: &Config, pool: &Pool, unix_ms: u64) -> Monitor {
        let mut histories = Histories::default();
        histories.configure(pool);
        Monitor {
            prober: Prober::new(config, pool.ring(), unix_ms),
            inspector: Inspector::new(config, pool.ring()),
            outages: Outages::default(),
            histories,
        }
    }

    /// Watches the replicas of a pool that has this configuration. What is known of a
    /// replica is kept by its name.
    pub(crate) fn configure(&mut self, config: &Config, pool: &Pool, unix_ms: u64) {
        self.prober.configure(config, pool.ring(), unix_ms);
        self.inspector.configure(config, pool.ring());
        self.histories.configure(pool);
    }

    /// Begins to ask.
    pub(crate) fn start(&mut self, now: Moment) {
        self.prober.start(now);
        self.inspector.start(now);
    }

    /// Leaves it to another VM.
    pub(crate) fn stop(&mut self) {
        self.prober.stop();
        self.inspector.stop();
        self.histories.stop();
    }

    /// Asks the replicas, as far as that is due.
    pub(crate) fn ask(
        &mut self,
        pool: &Pool,
        random: &mut Random,
        now: Reading,
        effects: &mut Effects,
    ) {
        let skips = |id| is_left_alone(pool, id);
        self.prober.probe(now.moment, random, skips, effects);
        self.inspect(pool, now, effects);
    }

    /// Asks what is compared, as far as that is due.
    pub(crate) fn inspect(&mut self, pool: &Pool, now: Reading, effects: &mut Effects) {
        let skips = |id| is_left_alone(pool, id);
        self.inspector.inspect(now, skips, effects);
    }

    /// Takes in a response to a probe; the change of a verdict it leads to, if any.
    pub(crate) fn answered(
        &mut self,
        probe: ProbeId,
        response: &ProbeResponse,
        now: Reading,
        effects: &mut Effects,
    ) -> Option<Change> {
        self.prober.answered(probe, response, now, effects)
    }

    /// A probe could not be sent.
    pub(crate) fn not_sent(
        &mut self,
        probe: ProbeId,
        now: Reading,
        effects: &mut Effects,
    ) -> Option<Change> {
        self.prober.not_sent(probe, now, effects)
    }

    /// What is known of a replica's health is old: its next answer decides.
    pub(crate) fn unsettle(&mut self, replica: ReplicaId) {
        self.prober.unsettle(replica);
    }

    /// Gives up the probes whose answer got lost.
    pub(crate) fn expire(&mut self, now: Reading, effects: &mut Effects) -> Vec<Change> {
        self.prober.expire(now, effects)
    }

    /// Takes in the headers of an answer about what is compared.
    pub(crate) fn inspected(
        &mut self,
        inspection: InspectionId,
        headers: &[(&str, String)],
        now: Reading,
        effects: &mut Effects,
    ) {
        self.inspector.answered(inspection, headers, now, effects);
    }

    /// Takes note of what each replica is going through.
    pub(crate) fn record(&mut self, pool: &Pool, now: Moment) {
        self.histories.look(pool, &self.prober, now);
    }

    /// Logs, for all VMs, that a port has no replica left, or has one again: what the next
    /// holder of the lease is to know then.
    pub(crate) fn log_outages(
        &mut self,
        config: &Config,
        pool: &Pool,
        unix_ms: u64,
        effects: &mut Effects,
    ) -> Option<&Outages> {
        let situation = Situation {
            config,
            pool,
            prober: &self.prober,
            unix_ms,
        };
        let logged = self.outages.log(&situation, effects);
        (logged == Logged::Something).then_some(&self.outages)
    }

    /// Leaves what was found out for the other VMs, as far as that is due.
    pub(crate) fn announce(
        &self,
        sync: &mut Sync,
        store: &mut impl Store,
        claim: Claim,
        now: Moment,
    ) {
        let must_announce = sync.must_announce();
        // First why, then that it is so: who reads the one finds the other.
        if must_announce || sync.are_details_due(now) {
            sync.leave_details(store, claim, &self.prober.details(), now);
            sync.leave_histories(store, claim, self.histories.all());
        }
        if must_announce {
            sync.announce(store, claim, &self.prober.verdicts());
        }
    }

    /// What the replicas' answers revealed, once at the end of a round, for the other VMs.
    pub(crate) fn take_observations(&mut self) -> Option<Vec<(String, Observation)>> {
        self.inspector.take_outcome()
    }

    /// Learns what the VM that watches has left, to show it.
    pub(crate) fn learn(&mut self, sync: &Sync, store: &mut impl Store) {
        self.prober.learn(sync.read_details(store));
        self.inspector.learn(sync.read_observations(store));
        self.histories.learn(&sync.read_histories(store));
    }

    /// Goes on where the last holder of the lease stopped. All verdicts as of now.
    pub(crate) fn take_over(
        &mut self,
        sync: &Sync,
        store: &mut impl Store,
        now: Reading,
    ) -> Vec<Change> {
        let details = sync.read_details(store);
        let verdicts = sync.read_verdicts(store);
        let changes = self.prober.take_over(details, &verdicts, now.moment);
        self.inspector.take_over(sync.read_observations(store), now);
        self.outages = sync.read_outages(store);
        self.histories.learn(&sync.read_histories(store));
        changes
    }

    /// Leaves it to the VM that has taken the lease. All verdicts as of now.
    pub(crate) fn leave(&mut self, sync: &Sync, store: &mut impl Store) -> Vec<Change> {
        self.inspector.stop();
        self.histories.stop();
        let details = sync.read_details(store);
        let verdicts = sync.read_verdicts(store);
        self.prober.leave(details, &verdicts)
    }

    /// When there is something to ask, or to give up.
    pub(crate) fn next_wake(&self, pool: &Pool) -> Option<Moment> {
        let probe = self.prober.next_wake(|id| is_left_alone(pool, id));
        let wakes = [probe, self.inspector.next_wake()];
        wakes.into_iter().flatten().min()
    }

    /// What is known of the replicas' health.
    pub(crate) fn prober(&self) -> &Prober {
        &self.prober
    }

    /// What the replicas' answers revealed.
    pub(crate) fn inspector(&self) -> &Inspector {
        &self.inspector
    }

    /// What a replica has been through.
    pub(crate) fn history(&self, replica: &Replica) -> ReplicaHistory {
        self.histories.of(replica)
    }
}

/// Whether a replica is not to be probed.
fn is_left_alone(pool: &Pool, id: ReplicaId) -> bool {
    pool.get(id)
        .is_none_or(|replica| replica.order() == Order::Maintenance)
}

//! What is reported to the host's metrics, and when. Their names are in
//! [`metric_name`].

use crate::balance::connections::Connections;
use crate::balance::listener::Refusal;
use crate::balance::pool::Pool;
use crate::balance::replica::ReplicaId;
use crate::balance::tally::Tally;
use crate::compare::whole_seconds;
use crate::config::Config;
use crate::contract::metric_name;
use crate::effect::Effects;
use crate::health::reason::Reason;
use std::collections::HashMap;

/// What was reported so far.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By replica's number.
    reported: Vec<Tally>,
    /// Connections of each listener that were given a replica, or refused.
    connections: Vec<(u16, Option<Refusal>, u64)>,
    gauges: Gauges,
    /// Which of several services it is.
    service: Option<String>,
}

/// What the gauges were set to. They are set by the VM that probes, from the sums of
/// all VMs: so they come back to the truth whichever VM dies.
#[derive(Debug, Default)]
struct Gauges {
    /// By replica's number, in the order of their names. They are looked at often and
    /// change seldom, so that a name is made only for one that does.
    replicas: Vec<[Option<u64>; metric_name::REPLICA_GAUGES.len()]>,
    skews: HashMap<ReplicaId, u64>,
    usable: Option<u64>,
}

impl Metrics {
    /// Makes all names known, so that they show as 0 before anything happened.
    pub(crate) fn declare(&mut self, config: &Config, effects: &mut Effects) {
        self.service = config.service_name().map(str::to_owned);
        // A large pool's reasons show when they happen, or there would be tens of
        // thousands of zeros.
        let reasons: &[Reason] = if config.replicas.len() <= 64 {
            &Reason::ALL
        } else {
            &[]
        };
        for replica in &config.replicas {
            for leaf in metric_name::REPLICA_COUNTERS {
                effects.declare(metric_name::replica(&replica.name, leaf));
            }
            for reason in reasons {
                let name = metric_name::probes_failed(&replica.name, reason.name());
                effects.declare(name);
            }
        }
        for listener in &config.listeners {
            effects.declare(metric_name::listener_connections(listener.port));
            let of_clients = config.clients.iter().flat_map(|_| Refusal::OF_CLIENTS);
            for refusal in Refusal::ALL.into_iter().chain(of_clients) {
                let name = metric_name::listener_refused(listener.port, refusal.name());
                effects.declare(name);
            }
        }
        effects.declare(metric_name::NOT_STEERED.to_owned());
    }

    /// Reports what this VM counted since the last time.
    pub(crate) fn count(&mut self, pool: &Pool, connections: &Connections, effects: &mut Effects) {
        self.reported.resize(pool.ids().len(), Tally::default());
        for ((id, replica), before) in pool.replicas().zip(&mut self.reported) {
            let here = connections.counts().here(id);
            if *before == here {
                continue;
            }
            let new = here.without_totals(before);
            let name = |leaf| metric_name::replica(&replica.name, leaf);
            effects.count(name(metric_name::CONNECTIONS), new.connections);
            effects.count(name(metric_name::CONNECT_FAILURES), new.failures);
            *before = here;
        }
        for listener in pool.listeners() {
            let port = listener.port;
            let new = self.since_last(port, None, listener.given);
            effects.count(metric_name::listener_connections(port), new);
            for (refusal, times) in &listener.refused {
                let new = self.since_last(port, Some(*refusal), *times);
                effects.count(metric_name::listener_refused(port, refusal.name()), new);
            }
        }
    }

    /// Reports what is now, as far as it changed.
    pub(crate) fn gauge(&mut self, pool: &Pool, effects: &mut Effects) {
        let gauges = &mut self.gauges;
        gauges.replicas.resize(pool.ids().len(), Default::default());
        let mut usable = 0;
        for ((id, replica), known) in pool.replicas().zip(&mut gauges.replicas) {
            let is_listed = replica.position.is_some();
            let is_usable = is_listed && pool.is_usable(id);
            let values = [
                u64::from(replica.active),
                u64::from(is_listed && replica.is_healthy()),
                u64::from(is_usable),
            ];
            usable += u64::from(is_usable);
            let leaves = metric_name::REPLICA_GAUGES.into_iter();
            for ((leaf, value), known) in leaves.zip(values).zip(known) {
                if known.replace(value) != Some(value) {
                    effects.gauge(metric_name::replica(&replica.name, leaf), value);
                }
            }
        }
        if gauges.usable.replace(usable) != Some(usable) {
            effects.gauge(metric_name::usable(self.service.as_deref()), usable);
        }
    }

    /// Reports by how much each clock differs, in whole seconds: only the size, since a
    /// gauge of the ABI has no sign.
    pub(crate) fn gauge_clocks(
        &mut self,
        pool: &Pool,
        skews_ms: &[(ReplicaId, i64)],
        effects: &mut Effects,
    ) {
        for (id, skew_ms) in skews_ms {
            let Some(replica) = pool.get(*id) else {
                continue;
            };
            let skew = whole_seconds(*skew_ms);
            if self.gauges.skews.insert(*id, skew) != Some(skew) {
                let name = metric_name::replica(&replica.name, metric_name::CLOCK_SKEW);
                effects.gauge(name, skew);
            }
        }
    }

    /// Forgets what the gauges were set to: another VM set them meanwhile.
    pub(crate) fn forget_gauges(&mut self) {
        self.gauges = Gauges::default();
    }

    /// How much larger a listener's number is than it was reported, and is from now on.
    fn since_last(&mut self, port: u16, refusal: Option<Refusal>, all: u64) -> u64 {
        let mut known = self.connections.iter_mut();
        match known.find(|(of, what, _)| (*of, *what) == (port, refusal)) {
            Some((_, _, before)) => all.saturating_sub(std::mem::replace(before, all)),
            None => {
                self.connections.push((port, refusal, all));
                all
            }
        }
    }
}

#[cfg(test)]
mod tests;

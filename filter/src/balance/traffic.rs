//! What connections do to the counts, and what their failures say of a replica.

use crate::balance::connections::{Connection, Settled, StreamId, UpstreamOutcome};
use crate::balance::passive::Ejection;
use crate::balance::replica::ReplicaId;
use crate::balancer::{Balancer, Effect, Level};
use crate::time::Moment;

impl Balancer {
    pub(crate) fn landed(&mut self, stream: StreamId, outcome: UpstreamOutcome<'_>, now: Moment) {
        let Some(connection) = self.connections.get_mut(stream) else {
            return;
        };
        if connection.settled == Settled::Known {
            return;
        }
        let mut settled = *connection;
        // While it is open, the next attempt may be under way: only its end tells.
        let outcome = match outcome {
            UpstreamOutcome::Failed => UpstreamOutcome::Pending,
            other => other,
        };
        self.settle(&mut settled, outcome, now);
        if settled.settled == Settled::Unknown {
            self.connections.again(stream);
        }
        if let Some(connection) = self.connections.get_mut(stream) {
            *connection = settled;
        }
    }

    /// Learns where a connection went: to the chosen replica, to another because
    /// the chosen one did not answer, or nowhere.
    pub(crate) fn settle(
        &mut self,
        connection: &mut Connection,
        outcome: UpstreamOutcome<'_>,
        now: Moment,
    ) {
        let chosen = connection.replica;
        match outcome {
            UpstreamOutcome::Pending => return,
            UpstreamOutcome::Failed => self.count_failure(chosen, now),
            UpstreamOutcome::Reached(name) => {
                // By far the most reach the chosen one: no look-up for those.
                let is_chosen = |id: &ReplicaId| self.name(*id) == Some(name);
                let reached = match chosen.filter(is_chosen) {
                    Some(chosen) => Some(chosen),
                    None => self.pool.id(name),
                };
                if reached != chosen {
                    self.count_failure(chosen, now);
                    self.count_closed(chosen, now);
                    if let Some(reached) = reached {
                        self.count_open(reached, now);
                    }
                    connection.replica = reached;
                }
                self.count_reached(reached, now);
            }
        }
        connection.settled = Settled::Known;
    }

    pub(crate) fn count_open(&mut self, id: ReplicaId, now: Moment) {
        if let Some(replica) = self.pool.get_mut(id) {
            replica.here.active = replica.here.active.saturating_add(1);
            self.pool.update(id, now);
        }
    }

    pub(crate) fn count_closed(&mut self, id: Option<ReplicaId>, now: Moment) {
        let Some(id) = id else { return };
        if let Some(replica) = self.pool.get_mut(id) {
            replica.here.active = replica.here.active.saturating_sub(1);
            self.pool.update(id, now);
        }
    }

    pub(crate) fn count_reached(&mut self, id: Option<ReplicaId>, now: Moment) {
        let Some(id) = id else { return };
        let Some(replica) = self.pool.get_mut(id) else {
            return;
        };
        replica.here.connections = replica.here.connections.saturating_add(1);
        let was_ejected = replica.passive.is_ejected(now);
        replica.passive.reached();
        if was_ejected {
            self.pool.update(id, now);
        }
    }

    pub(crate) fn count_failure(&mut self, id: Option<ReplicaId>, now: Moment) {
        let Some(id) = id else { return };
        if let Some(replica) = self.pool.get_mut(id) {
            replica.here.failures = replica.here.failures.saturating_add(1);
            self.hold(id, 1, now);
        }
    }

    /// Takes in connect failures of a replica, whoever saw them.
    pub(crate) fn hold(&mut self, id: ReplicaId, failures: u64, now: Moment) {
        let rules = self.config.passive;
        let Some(replica) = self.pool.get_mut(id) else {
            return;
        };
        if replica.passive.failed(failures, &rules, now) == Ejection::Unchanged {
            return;
        }
        let (name, ms) = (replica.name.clone(), rules.hold_ms);
        self.pool.update(id, now);
        // The VM that probes tells for all: it hears of everybody's failures.
        if self.is_holder() {
            let failures = match rules.fails {
                1 => "a connection to it failed".to_owned(),
                fails => format!(
                    "{fails} connections to it failed within {} ms",
                    rules.window_ms
                ),
            };
            let told = format!("replica \"{name}\": {failures}; held back for {ms} ms");
            self.effects.push_back(Effect::Log(Level::Warn, told));
        }
    }

    /// Closes what a replica serves on the listeners that ask for this check.
    pub(crate) fn close_connections(&mut self, id: ReplicaId, check: usize) {
        for (stream, connection) in self.connections.iter() {
            let listener = self.pool.listeners.get(connection.listener.0);
            let asks = listener.is_some_and(|listener| listener.checks.contains(&check));
            if connection.replica == Some(id) && asks {
                self.effects.push_back(Effect::Close(stream));
            }
        }
    }
}

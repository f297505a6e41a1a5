//! Ports that have no replica left: logged when it begins, and when it is over.

use super::listener::{Listener, Refusal};
use super::order::Order;
use super::pool::Pool;
use super::replica::ReplicaId;
use crate::config::{Config, WhenAllDown};
use crate::contract::{LogField, LogLine};
use crate::effect::{Effects, Level};
use crate::health::prober::Prober;
use serde::{Deserialize, Serialize};

/// The ports that have no replica left, and since when, in Unix milliseconds. Left on
/// the board, so that the next VM that probes does not log it once more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outages(Vec<(u16, u64)>);

/// Where it is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) config: &'a Config,
    pub(crate) pool: &'a Pool,
    pub(crate) prober: &'a Prober,
    pub(crate) unix_ms: u64,
}

/// Whether there was anything new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    Something,
    Nothing,
}

impl Outages {
    /// Logs what has changed, in a line for all ports of which the same is true. A replica
    /// whose health is only assumed so far changes nothing.
    pub(crate) fn log(&mut self, situation: &Situation<'_>, effects: &mut Effects) -> Logged {
        let (pool, config) = (situation.pool, situation.config);
        let before = self.0.len();
        self.0.retain(|(port, _)| pool.listener_of(*port).is_some());
        let is_gone = self.0.len() < before;
        let is_known = |port| self.0.iter().any(|(known, _)| *known == port);
        let turned = pool.listeners().iter().filter(|listener| {
            let has_replica = pool.ring().iter().any(|id| listener.is_ready(*id));
            has_replica == is_known(listener.port)
        });
        let turned: Vec<&Listener> = turned.collect();
        if turned.is_empty() {
            return if is_gone {
                Logged::Something
            } else {
                Logged::Nothing
            };
        }
        let unknown = situation.unknown();
        let is_certain = |listener: &&Listener| match is_known(listener.port) {
            true => {
                let mut ids = pool.ring().iter();
                ids.any(|id| listener.is_ready(*id) && !unknown.contains(id))
            }
            false => !pool.ring().iter().any(|id| unknown.contains(id)),
        };
        let (over, begun): (Vec<&Listener>, Vec<&Listener>) = turned
            .into_iter()
            .filter(is_certain)
            .partition(|listener| is_known(listener.port));
        if !begun.is_empty() {
            let (refusal, text) = situation.describe();
            let text = format!("no replica is left for {}: {text}", ports(&begun));
            effects.log_event(
                Level::Error,
                line(config, &text).with(LogField::Reason, refusal.name()),
            );
            let begun = begun.iter().map(|it| (it.port, situation.unix_ms));
            self.0.extend(begun);
        }
        if !over.is_empty() {
            let is_over = |(port, _): &mut (u16, u64)| over.iter().any(|it| it.port == *port);
            let since = self.0.extract_if(.., is_over).map(|(_, since)| since).min();
            let lasted_ms = situation.unix_ms.saturating_sub(since.unwrap_or_default());
            let (ports, seconds) = (ports(&over), lasted_ms / 1000);
            let text = format!("a replica serves {ports} again, after {seconds} s without any");
            effects.log_event(Level::Info, line(config, &text));
        }
        Logged::Something
    }
}

impl Situation<'_> {
    /// The replicas of which no answer is known yet.
    fn unknown(&self) -> Vec<ReplicaId> {
        let watches = self.prober.watches().iter();
        let unsettled = watches.filter(|watch| !watch.state.health.settled);
        let is_asked = |id: &ReplicaId| {
            let replica = self.pool.get(*id);
            replica.is_some_and(|replica| replica.order() == Order::Ready)
        };
        unsettled.map(|it| it.replica).filter(is_asked).collect()
    }

    /// Why there is no replica, and what becomes of clients.
    fn describe(&self) -> (Refusal, String) {
        let ring = self.pool.ring();
        let ordered = |order| {
            let replicas = ring.iter().filter_map(|id| self.pool.get(*id));
            replicas.filter(|replica| replica.order() == order).count()
        };
        let (drained, maintained) = (ordered(Order::Drain), ordered(Order::Maintenance));
        let down = ring.len().saturating_sub(drained + maintained);
        let counts = [
            (down, "unhealthy"),
            (drained, "in drain"),
            (maintained, "in maintenance"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts
            .map(|(count, how)| format!("{count} {how}"))
            .collect();
        let refusal = match down {
            0 => Refusal::AllAway,
            _ => Refusal::AllDown,
        };
        let clients = match self.config.when_all_down {
            WhenAllDown::TryAll if down > 0 => "clients are led to unhealthy ones",
            _ => "clients are refused",
        };
        (refusal, format!("{}; {clients}", counts.join(", ")))
    }
}

/// A line of a registry, whose name it begins with where there are several.
fn line(config: &Config, text: &str) -> LogLine {
    match config.service_name() {
        None => LogLine::new(text.to_owned()),
        Some(name) => {
            LogLine::new(format!("service \"{name}\": {text}")).with(LogField::Service, name)
        }
    }
}

fn ports(listeners: &[&Listener]) -> String {
    let numbers: Vec<String> = listeners.iter().map(|it| it.port.to_string()).collect();
    let word = if numbers.len() == 1 { "port" } else { "ports" };
    format!("{word} {}", numbers.join(", "))
}

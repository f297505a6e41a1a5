//! Asking the replicas, and what follows from their answers.

use crate::balance::pool::Pool;
use crate::balance::replica::{Order, ReplicaId};
use crate::balancer::{Balancer, Effect, Level, News};
use crate::config::{CheckKind, OnDown};
use crate::health::probe_request::ProbeRequest;
use crate::health::probe_response::ProbeFailure;
use crate::health::schedule::ProbeId;
use crate::health::verdict::Verdict;
use crate::metrics;
use crate::time::Moment;

impl Balancer {
    pub(crate) fn ask(&mut self, now: Moment) {
        let pool = &self.pool;
        let skips = |id| is_left_alone(pool, id);
        for (probe, id, check) in self.probes.ask(now, &mut self.random, skips) {
            let (Some(replica), Some(check)) = (pool.get(id), self.config.checks.get(check)) else {
                continue;
            };
            let request = ProbeRequest::of(probe, check, &replica.name, &self.config);
            self.effects.push_back(Effect::Ask(request));
        }
    }

    pub(crate) fn kind_of(&self, probe: ProbeId) -> Option<CheckKind> {
        let watch = self.probes.watch_of(probe)?;
        self.config
            .checks
            .get(watch.check)
            .map(|check| check.kind.clone())
    }

    pub(crate) fn take_answer(
        &mut self,
        probe: ProbeId,
        outcome: Result<(), ProbeFailure>,
        now: Moment,
    ) {
        let Some(watch) = self.probes.watch_of(probe) else {
            return;
        };
        let (id, check) = (watch.replica, watch.check);
        let since = watch.state.since_unix_ms;
        let name = self
            .pool
            .get(id)
            .map(|replica| replica.name.clone())
            .unwrap_or_default();
        match &outcome {
            Ok(()) => metrics::one(
                format!("dtr_lb.replica.{name}.probes_ok"),
                &mut self.effects,
            ),
            Err(failure) => {
                metrics::failed_probe(&name, failure.reason, failure.component, &mut self.effects);
            }
        }
        let taken = self.probes.answered(probe, outcome, now, self.unix_ms);
        let Some((watch, change)) = taken else { return };
        let failure = watch.state.failure.clone();
        let Some(verdict) = change else { return };
        self.news = News::Verdicts;
        metrics::one(format!("dtr_lb.replica.{name}.changes"), &mut self.effects);
        let check_name = self
            .config
            .checks
            .get(check)
            .map_or("", |check| check.name.as_str());
        let told = match (verdict, failure) {
            (Verdict::Healthy, _) => {
                let seconds = self.unix_ms.saturating_sub(since) / 1000;
                let told =
                    format!("replica \"{name}\" is healthy ({check_name}), after {seconds} s");
                Effect::Log(Level::Info, told)
            }
            (Verdict::Unhealthy, failure) => {
                let why = failure
                    .map(|failure| failure.in_one_line())
                    .unwrap_or_default();
                Effect::Log(
                    Level::Warn,
                    format!("replica \"{name}\" is unhealthy ({check_name}): {why}"),
                )
            }
        };
        self.effects.push_back(told);
        self.set_verdict(id, check, verdict, now);
    }

    /// Takes in whether a replica passes a check, whoever found out.
    pub(crate) fn set_verdict(
        &mut self,
        id: ReplicaId,
        check: usize,
        verdict: Verdict,
        now: Moment,
    ) {
        let Some(replica) = self.pool.get_mut(id) else {
            return;
        };
        match replica.verdicts.get_mut(check) {
            Some(held) if *held != verdict => *held = verdict,
            _ => return,
        }
        if verdict == Verdict::Healthy && self.config.slow_start_ms > 0 {
            replica.recovered = Some(now);
        }
        self.pool.update(id, now);
        if verdict == Verdict::Unhealthy && self.config.on_down == OnDown::Close {
            self.close_connections(id, check);
        }
    }
}

/// Whether a replica is not to be probed.
pub(crate) fn is_left_alone(pool: &Pool, id: ReplicaId) -> bool {
    pool.get(id)
        .is_none_or(|replica| replica.order == Order::Maintenance)
}

//! One replica under one check, and what becomes of it for others.

use super::check_state::CheckState;
use super::probe_failure::ProbeFailure;
use super::reason::Component;
use super::verdict::Verdict;
use crate::balance::replica::ReplicaId;
use crate::config;
use crate::contract::{LogField, LogLine, metric_name};
use crate::effect::{Effects, Level};
use crate::random;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One replica under one check.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) replica: ReplicaId,
    /// The check's number in the configuration.
    pub(crate) check: usize,
    pub(crate) state: CheckState,
    /// The replica's name.
    pub(crate) name: String,
    /// Where the replica is, to be shown.
    address: String,
    /// Where probes are sent.
    pub(crate) cluster: String,
    pub(crate) key: WatchKey,
}

/// Hashes of a replica's and a check's name: few bytes on the board.
pub(crate) type WatchKey = (u64, u64);

/// Whether a replica passes a check, as of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) replica: ReplicaId,
    pub(crate) check: usize,
    pub(crate) verdict: Verdict,
}

/// A check's state as the VM that probes leaves it to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Detail {
    pub(crate) replica: String,
    pub(crate) check: String,
    pub(crate) state: CheckState,
}

impl Watch {
    /// A replica under a check of which nothing is known yet, probed through this cluster.
    pub(crate) fn new(
        replica: (ReplicaId, &config::Replica),
        check: (usize, &str),
        cluster: String,
        state: CheckState,
    ) -> Watch {
        Watch {
            replica: replica.0,
            check: check.0,
            state,
            name: replica.1.name.clone(),
            address: replica.1.address.clone(),
            cluster,
            key: (
                random::hash(replica.1.name.as_bytes()),
                random::hash(check.1.as_bytes()),
            ),
        }
    }

    /// Whether the replica passes the check.
    pub(crate) fn verdict(&self) -> Change {
        Change {
            replica: self.replica,
            check: self.check,
            verdict: self.state.health.verdict,
        }
    }

    /// Logs a change of the verdict.
    pub(crate) fn log(&self, check: &str, lasted_ms: u64, effects: &mut Effects) {
        let line = |text: &str| {
            LogLine::of_replica(&self.name, &self.address, text).with(LogField::Check, check)
        };
        match self.state.health.verdict {
            Verdict::Healthy => {
                let seconds = lasted_ms / 1000;
                let text = format!(" is healthy ({check}), after {seconds} s");
                effects.log_event(Level::Info, line(&text));
            }
            Verdict::Unhealthy => {
                let failure = self.state.failure.as_ref();
                let why = failure.map(ProbeFailure::in_one_line).unwrap_or_default();
                let mut line = line(&format!(" is unhealthy ({check}): {why}"));
                if let Some(failure) = failure {
                    let component = failure.component.map(Component::name);
                    line = line
                        .with(LogField::Reason, failure.reason.name())
                        .with(LogField::Component, component.unwrap_or_default())
                        .with(LogField::Error, &failure.text);
                }
                effects.log_event(Level::Warn, line);
            }
        }
    }

    /// Counts what a probe came to, and how long it took.
    pub(crate) fn count(
        &self,
        outcome: &Result<(), ProbeFailure>,
        latency: Duration,
        effects: &mut Effects,
    ) {
        let name = |leaf| metric_name::replica(&self.name, leaf);
        // Rounded up, so that a bucket holds what took no longer than its bound.
        let milliseconds = latency.saturating_add(ALMOST_A_MILLISECOND).as_millis();
        let milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
        effects.record(name(metric_name::PROBE_DURATION), milliseconds);
        let Err(failure) = outcome else {
            return effects.count(name(metric_name::PROBES_OK), 1);
        };
        let reason = failure.reason.name();
        effects.count(metric_name::probes_failed(&self.name, reason), 1);
        if let Some(component) = failure.component {
            let name = metric_name::component_errors(&self.name, component.name());
            effects.count(name, 1);
        }
    }
}

const ALMOST_A_MILLISECOND: Duration = Duration::from_nanos(999_999);

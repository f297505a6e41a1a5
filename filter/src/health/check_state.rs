//! One replica's health by one check: where it stands, why, and since when.

use crate::config::{Health, Start};
use crate::health::probe_failure::ProbeFailure;
use crate::health::reason::Reason;
use crate::health::verdict::{HealthState, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// What is known, and shared with the other VMs. Times are Unix milliseconds, to
/// be shown, never to be reckoned with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckState {
    pub(crate) health: HealthState,
    pub(crate) since_unix_ms: u64,
    /// What was wrong with the last bad answer; of interest while unhealthy.
    pub(crate) failure: Option<ProbeFailure>,
    pub(crate) answers: VecDeque<AnswerRecord>,
    pub(crate) good: u64,
    pub(crate) bad: u64,
}

/// One of the last answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnswerRecord {
    pub(crate) unix_ms: u64,
    pub(crate) latency_us: u32,
    pub(crate) reason: Option<Reason>,
}

impl CheckState {
    pub(crate) fn before_any_answer(start: Start, unix_ms: u64) -> CheckState {
        CheckState {
            health: HealthState::before_any_answer(start),
            since_unix_ms: unix_ms,
            failure: None,
            answers: VecDeque::new(),
            good: 0,
            bad: 0,
        }
    }

    /// Takes in one answer; the new verdict when it changed.
    pub(crate) fn take(
        &mut self,
        outcome: Result<(), ProbeFailure>,
        latency: Duration,
        rules: &Rules,
        unix_ms: u64,
    ) -> Option<Verdict> {
        let reason = outcome.as_ref().err().map(|failure| failure.reason);
        let latency_us = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        while self.answers.len() >= rules.remembered.max(1) {
            self.answers.pop_front();
        }
        self.answers.push_back(AnswerRecord {
            unix_ms,
            latency_us,
            reason,
        });
        let answer = match outcome {
            Ok(()) => {
                self.good = self.good.saturating_add(1);
                Verdict::Healthy
            }
            Err(failure) => {
                self.bad = self.bad.saturating_add(1);
                self.failure = Some(failure);
                Verdict::Unhealthy
            }
        };
        let change = self.health.take(answer, &rules.health);
        if change.is_some() {
            self.since_unix_ms = unix_ms;
        }
        if self.health.verdict == Verdict::Healthy && !self.health.is_pending() {
            self.failure = None;
        }
        change
    }

    /// The time from one probe to the next, before jitter.
    pub(crate) fn interval(&self, rules: &Health) -> Duration {
        let ms = match self.health.verdict {
            _ if self.health.is_pending() => rules.fast_interval_ms,
            Verdict::Unhealthy => rules.down_interval_ms,
            Verdict::Healthy => rules.interval_ms,
        };
        Duration::from_millis(ms.max(1))
    }
}

/// What answers are weighed by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) health: Health,
    /// This many answers are kept to be shown.
    pub(crate) remembered: usize,
}

//! One check of one replica, as it is shown.

use crate::config::Check;
use crate::health::check_state::AnswerRecord;
use crate::health::reason::{Component, Reason};
use crate::health::verdict::Verdict;
use crate::health::watch::Watch;
use serde::Serialize;

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
    /// How many in a row were.
    pub streak: u32,
    /// What was wrong with the last bad answer.
    pub reason: Option<Reason>,
    /// The part of the registry it named.
    pub component: Option<Component>,
    /// Its own text; may be empty.
    pub error: String,
    /// Good answers, ever.
    pub good: u64,
    /// Bad answers, ever.
    pub bad: u64,
    /// The last answers, oldest first.
    pub answers: Vec<AnswerStatus>,
}

/// One of the last answers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AnswerStatus {
    /// When.
    pub unix_ms: u64,
    /// After how many microseconds.
    pub latency_us: u32,
    /// What was wrong with it; null for a good one.
    pub reason: Option<Reason>,
}

impl CheckStatus {
    /// What is known of a check; `None`: it is not among those configured.
    pub(crate) fn of(checks: &[Check], watch: &Watch) -> Option<CheckStatus> {
        let state = &watch.state;
        let failure = state.failure.as_ref();
        Some(CheckStatus {
            name: checks.get(watch.check)?.name.clone(),
            verdict: state.health.verdict,
            settled: state.health.settled,
            since_unix_ms: state.since_unix_ms,
            last: state.health.last,
            streak: state.health.streak,
            reason: failure.map(|failure| failure.reason),
            component: failure.and_then(|failure| failure.component),
            error: failure.map(|it| it.text.clone()).unwrap_or_default(),
            good: state.good,
            bad: state.bad,
            answers: state.answers.iter().map(AnswerStatus::of).collect(),
        })
    }
}

impl AnswerStatus {
    fn of(answer: &AnswerRecord) -> AnswerStatus {
        AnswerStatus {
            unix_ms: answer.unix_ms,
            latency_us: answer.latency_us,
            reason: answer.reason,
        }
    }
}

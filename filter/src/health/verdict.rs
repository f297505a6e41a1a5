//! How answers add up: streaks that take a replica out and bring it back.

use crate::config::{Health, Start};
use serde::{Deserialize, Serialize};

/// Whether a replica passes one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Healthy,
    /// It does not.
    Unhealthy,
}

/// A verdict and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthState {
    /// What holds now.
    pub verdict: Verdict,
    /// Whether an answer stands behind it, or only the configured start.
    pub settled: bool,
    /// Answers of the last kind in a row.
    pub streak: u32,
    /// The last kind: what the newest answer alone would say.
    pub last: Verdict,
}

impl HealthState {
    /// Where a replica stands before its first answer.
    pub const fn before_any_answer(start: Start) -> HealthState {
        let verdict = match start {
            Start::Up => Verdict::Healthy,
            Start::Down => Verdict::Unhealthy,
        };
        HealthState {
            verdict,
            settled: false,
            streak: 0,
            last: verdict,
        }
    }

    /// Takes in one answer; the new verdict when it changed.
    pub fn take(&mut self, answer: Verdict, rules: &Health) -> Option<Verdict> {
        if answer == self.last {
            self.streak = self.streak.saturating_add(1);
        } else {
            self.streak = 1;
        }
        self.last = answer;
        let needed = match answer {
            _ if !self.settled => 1,
            Verdict::Healthy => rules.rise,
            Verdict::Unhealthy => rules.fall,
        };
        self.settled = true;
        if answer == self.verdict || self.streak < needed {
            return None;
        }
        self.verdict = answer;
        Some(answer)
    }

    /// Answers so far are too old to count: the next one decides, as the first did.
    pub fn unsettle(&mut self) {
        self.settled = false;
        self.streak = 0;
    }

    /// Whether the next answers may change the verdict.
    pub fn is_pending(&self) -> bool {
        !self.settled || self.last != self.verdict
    }
}

#[cfg(test)]
mod tests;

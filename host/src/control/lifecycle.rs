//! The phases of a host, and what became of its connections at the end.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What all workers of a host are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Listening; not yet accepting.
    #[default]
    Starting,
    /// Accepting.
    Running,
    /// Accepting still; `/ready` and `/_ping` say that a drain follows.
    Announcing,
    /// Other workers accept now, by another plan; sessions go on, as long as they like.
    Retiring,
    /// Accepting no more; sessions go on.
    Draining,
    /// Sessions that are left are cut.
    Cutting,
    /// The threads end.
    Over,
}

/// Whether a host accepts clients, as `/host` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostPhase {
    /// It does.
    #[default]
    Serving,
    /// It does still; a drain follows, and `/_ping` and `/ready` answer 503.
    DrainAnnounced,
    /// It does no more; open connections go on until they end or are cut.
    Draining,
}

impl Phase {
    /// The same, as `/host` has it.
    pub(crate) fn shown(self) -> HostPhase {
        match self {
            Phase::Starting | Phase::Running | Phase::Retiring => HostPhase::Serving,
            Phase::Announcing => HostPhase::DrainAnnounced,
            Phase::Draining | Phase::Cutting | Phase::Over => HostPhase::Draining,
        }
    }

    /// Whether clients had better go elsewhere: a drain has begun, or is about to.
    pub(crate) fn is_drain(self) -> bool {
        self.shown() != HostPhase::Serving
    }
}

/// Waits for a phase or a later one. A host that is gone counts as over.
pub(crate) async fn reached(phases: &watch::Receiver<Phase>, phase: Phase) {
    // An error means that the sender, and so the host, is gone.
    let _ = phases.clone().wait_for(|now| *now >= phase).await;
}

/// What became of the connections that were open when a drain began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// They ended by themselves.
    pub finished: usize,
    /// They were still open at the limit.
    pub cut: usize,
}

impl std::ops::AddAssign for Drained {
    fn add_assign(&mut self, other: Drained) {
        self.finished += other.finished;
        self.cut += other.cut;
    }
}

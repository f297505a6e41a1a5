//! What is wrong with a cluster, or with what is known of it.

use serde::{Deserialize, Serialize};

/// One thing an operator should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Whom it is about: a replica's id in the registry, or its name here.
    pub about: String,
    /// What it is, and what to do.
    pub text: String,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A replica does not say how the cluster is.
    Silent,
    /// The cluster has a replica that is not configured here, and so gets no clients.
    NotConfigured,
    /// A configured replica is not in the cluster.
    NotInCluster,
    /// Replicas say different things of one.
    Disagreement,
    /// Replicas agree that one is not well.
    Unhealthy,
    /// What is known of a replica is old.
    Stale,
    /// A replica's own `/_ping` says another thing than the cluster.
    PingDiffers,
}

impl Finding {
    /// What stays the same though its figures move.
    pub(crate) fn key(&self) -> (FindingKind, &str) {
        (self.kind, &self.about)
    }
}

impl FindingKind {
    /// Its name in the output for machines and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::Silent => "silent",
            FindingKind::NotConfigured => "not-configured",
            FindingKind::NotInCluster => "not-in-cluster",
            FindingKind::Disagreement => "disagreement",
            FindingKind::Unhealthy => "unhealthy",
            FindingKind::Stale => "stale",
            FindingKind::PingDiffers => "ping-differs",
        }
    }

    /// All of them.
    pub const ALL: [FindingKind; 7] = [
        FindingKind::Silent,
        FindingKind::NotConfigured,
        FindingKind::NotInCluster,
        FindingKind::Disagreement,
        FindingKind::Unhealthy,
        FindingKind::Stale,
        FindingKind::PingDiffers,
    ];
}

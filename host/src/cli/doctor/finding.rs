//! One thing that the doctor found.

use serde::Serialize;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) source: Source,
    /// The replicas it is about, by name, or the field; none: all of it.
    pub(super) about: Vec<String>,
    /// What it is, why, and what to do.
    pub(super) text: String,
}

/// How urgent it is; the most urgent is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// Clients fail for it, or may at any time.
    Error,
    /// Nothing fails for it yet, or it is probably not meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// Who says so; of the same severity, those that explain others come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Source {
    /// The configuration, or DNS of a name in it.
    Configuration,
    /// The balancer that runs.
    Balancer,
    /// A check of a replica.
    Probe,
    /// An upload, begun at one replica and asked for at another.
    Upload,
    /// The replicas, compared with each other.
    Comparison,
    /// What the registry says of its replicas.
    ClusterStatus,
}

impl Finding {
    /// About the balancer that runs, and these replicas of it.
    pub(super) fn of_balancer(severity: Severity, about: &[&str], text: String) -> Finding {
        Finding {
            severity,
            source: Source::Balancer,
            about: about.iter().map(|name| (*name).to_owned()).collect(),
            text,
        }
    }
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

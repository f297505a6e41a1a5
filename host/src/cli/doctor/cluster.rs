//! What the registry says of its own replicas.

use dtr_lb::cluster_status::{Finding as ClusterFinding, FindingKind};
use dtr_lb::config::Config;

use super::finding::{Finding, Severity, Source};

/// What is worth a look. A registry that is not of the DTR family has no such status: that
/// nobody says anything is no news where the configuration does not ask for it.
pub(super) fn findings(config: &Config, found: &[ClusterFinding]) -> Vec<Finding> {
    let is_silent = |one: &&ClusterFinding| one.kind == FindingKind::Silent;
    let silent = found.iter().filter(is_silent).count();
    let is_expected = config.cluster_status.is_some();
    if let Some(first) = found.first()
        && silent == config.replicas.len()
        && !is_expected
    {
        return vec![Finding {
            severity: Severity::Note,
            source: Source::ClusterStatus,
            about: Vec::new(),
            text: format!(
                "no replica says how the cluster is; only DTR and MSR do, and only to an \
                 administrator: {}",
                first.text
            ),
        }];
    }
    let finding = |one: &ClusterFinding| Finding {
        severity: match one.kind {
            FindingKind::Unhealthy => Severity::Error,
            _ => Severity::Warning,
        },
        source: Source::ClusterStatus,
        about: vec![one.about.clone()],
        text: one.text.clone(),
    };
    found.iter().map(finding).collect()
}

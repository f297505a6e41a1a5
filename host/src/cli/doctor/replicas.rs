//! What the replicas answer, and in what they differ.

use std::collections::BTreeSet;

use dtr_lb::survey::Survey;

use super::finding::{Finding, Severity, Source};
use crate::cli::check::Failing;

/// Checks that fail, and what differs. `taken_out` are the replicas whose failures hurt
/// nobody.
pub(super) fn findings(survey: &Survey, taken_out: &BTreeSet<&str>) -> Vec<Finding> {
    let failing = Failing::all(survey).into_iter().map(|failing| {
        let is_out = |name: &String| taken_out.contains(name.as_str());
        Finding {
            severity: match failing.replicas.iter().all(is_out) {
                true => Severity::Warning,
                false => Severity::Error,
            },
            source: Source::Probe,
            about: failing.replicas,
            text: failing.text,
        }
    });
    let differing = survey.disagreements.iter().map(|found| Finding {
        severity: match found.fails_clients() {
            true => Severity::Error,
            false => Severity::Warning,
        },
        source: Source::Comparison,
        about: found.replicas.clone(),
        text: found.to_string(),
    });
    failing.chain(differing).collect()
}

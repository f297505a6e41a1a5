//! Why checks fail, and at which replicas.

use std::collections::BTreeMap;

use dtr_lb::survey::{CheckResult, Survey};

/// Checks that fail for one and the same reason.
pub(in crate::cli) struct Failing {
    /// The names of the replicas, each once.
    pub(in crate::cli) replicas: Vec<String>,
    /// Which replicas, why, and what to do.
    pub(in crate::cli) text: String,
}

impl Failing {
    /// Each advice once, with those it is for.
    pub(in crate::cli) fn all(survey: &Survey) -> Vec<Failing> {
        let checks = Checks::of(survey);
        let mut order: Vec<&str> = Vec::new();
        let mut failing: BTreeMap<&str, Vec<&CheckResult>> = BTreeMap::new();
        for result in &survey.results {
            let Some(failure) = &result.failure else {
                continue;
            };
            let advice = failure.advice.as_str();
            let results = failing.entry(advice).or_insert_with(|| {
                order.push(advice);
                Vec::new()
            });
            results.push(result);
        }
        let group = |advice: &str| {
            let results = failing.get(advice).map(Vec::as_slice).unwrap_or_default();
            Failing::of(advice, results, &checks)
        };
        order.into_iter().map(group).collect()
    }

    fn of(advice: &str, results: &[&CheckResult], checks: &Checks) -> Failing {
        let who = |result: &&CheckResult| {
            let check = match checks.name(result) {
                only if only.is_empty() => only,
                name => format!(", {name}"),
            };
            let CheckResult {
                replica, address, ..
            } = result;
            format!("\"{replica}\" ({address}{check})")
        };
        let shown: Vec<String> = results.iter().take(MOST_REPLICAS).map(who).collect();
        let shown = shown.join(", ");
        let text = match (results.len(), results.len().saturating_sub(MOST_REPLICAS)) {
            (1, _) => format!("replica {shown}: {advice}"),
            (_, 0) => format!("replicas {shown}: {advice}"),
            (_, more) => format!("replicas {shown} and {more} more: {advice}"),
        };
        let mut replicas: Vec<String> = results.iter().map(|one| one.replica.clone()).collect();
        // Those of one replica stand together, in the configuration's order.
        replicas.dedup();
        Failing { replicas, text }
    }
}

/// Whether there are several checks, so that each must be named.
pub(super) enum Checks {
    One,
    Several,
}

impl Checks {
    pub(super) fn of(survey: &Survey) -> Checks {
        let mut names = survey.results.iter().map(|result| &result.check);
        let first = names.next();
        match names.all(|name| Some(name) == first) {
            true => Checks::One,
            false => Checks::Several,
        }
    }

    pub(super) fn name(&self, result: &CheckResult) -> String {
        match self {
            Checks::One => String::new(),
            Checks::Several => result.check.clone(),
        }
    }
}

/// Replicas listed in a line.
const MOST_REPLICAS: usize = 8;

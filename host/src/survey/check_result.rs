//! What came of a survey.

use std::collections::BTreeSet;

use dtr_lb_filter::compare::Certificate;
use dtr_lb_filter::compare::disagreement::Disagreement;
use dtr_lb_filter::health::probe_failure::ProbeFailure;
use dtr_lb_filter::health::verdict::Verdict;
use serde::Serialize;

/// What every replica answered to every check, and what they disagree about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Survey {
    /// The registry's name; of several, all of them.
    pub fqdn: String,
    /// For each replica, in the configuration's order, for each of its addresses, for
    /// each check.
    pub results: Vec<CheckResult>,
    /// What differs between replicas, or from the registry's name.
    pub disagreements: Vec<Disagreement>,
}

/// What a replica answered to a check.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CheckResult {
    /// The replica's name.
    pub replica: String,
    /// An IP address; a name that has none.
    pub address: String,
    /// The replica's own.
    pub port: u16,
    /// The name of the check: `ping`, or `ping-PORT` for a listener's own.
    pub check: String,
    /// What would be the verdict if it always answered so.
    pub verdict: Verdict,
    /// The status of its answer; `None`: none came from the replica itself.
    pub status: Option<u16>,
    /// From the first packet to the last byte of the answer, in milliseconds.
    pub latency_ms: u64,
    /// Why it failed; `None`: it did not.
    pub failure: Option<CheckFailure>,
    /// What it showed in the TLS handshake, also when it was refused for that; where the
    /// check asks in the clear, what clients are shown on port 443.
    pub certificate: Option<Certificate>,
}

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CheckFailure {
    /// As the running balancer has it in `/status`, the metrics and the log.
    #[serde(flatten)]
    pub failure: ProbeFailure,
    /// What that means, and what to do.
    pub advice: String,
}

impl Survey {
    /// The names of the replicas that fail a check at one of their addresses.
    #[must_use]
    pub fn failing(&self) -> BTreeSet<&str> {
        let failing = self.results.iter().filter(|one| one.failure.is_some());
        failing.map(|one| one.replica.as_str()).collect()
    }

    /// The names of all replicas.
    #[must_use]
    pub fn replicas(&self) -> BTreeSet<&str> {
        let all = self.results.iter();
        all.map(|one| one.replica.as_str()).collect()
    }

    /// This one and that of another registry.
    #[must_use]
    pub fn and(self, other: Survey) -> Survey {
        Survey {
            fqdn: format!("{}, {}", self.fqdn, other.fqdn),
            results: [self.results, other.results].concat(),
            disagreements: [self.disagreements, other.disagreements].concat(),
        }
    }

    /// Whether all replicas pass their checks and agree.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.failing().is_empty() && self.disagreements.is_empty()
    }
}

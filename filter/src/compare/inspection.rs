//! What a replica is asked so that the answers can be compared.

use std::time::Duration;

/// An inspection's number; never used twice by a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InspectionId(pub u64);

/// One inspection, to be sent as an HTTP call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectionRequest {
    /// Comes back with the answer.
    pub inspection: InspectionId,
    /// The cluster to send it to: that of a check's probes.
    pub cluster: String,
    /// The request's headers, `:method` and the like first.
    pub headers: Vec<(String, String)>,
    /// How long to wait.
    pub timeout: Duration,
}

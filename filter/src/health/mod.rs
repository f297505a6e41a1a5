//! Whether a replica is healthy: probes, and what their answers add up to.

pub(crate) mod check_state;
pub mod probe_request;
pub mod probe_response;
pub(crate) mod prober;
pub mod reason;
pub mod schedule;
pub mod verdict;

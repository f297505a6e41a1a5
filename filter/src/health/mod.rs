//! Whether a replica is healthy: probes, and what their answers add up to.

pub(crate) mod check_state;
pub mod probe_failure;
pub mod probe_request;
pub mod probe_response;
pub(crate) mod prober;
mod proxy_reply;
pub mod reason;
mod reply_body;
mod schedule;
pub mod verdict;
pub(crate) mod watch;

//! Whether the replicas are alike: what their answers reveal about their clocks,
//! versions, logins and certificates. Never a verdict: a registry whose replicas differ
//! serves most of its clients, and nobody knows why it fails the others.

mod alike;
mod certificate;
mod certificates;
pub mod challenge;
mod changes;
mod clock;
mod comparison;
pub mod disagreement;
mod inspection;
pub(crate) mod inspector;
mod login;
pub mod observation;

pub use certificate::Certificate;
pub use clock::skews_ms;
pub(crate) use clock::whole_seconds;
pub use comparison::compare;
pub use inspection::{InspectionId, InspectionRequest};

//! Whether an upload that is begun at one replica is known at the others.
//!
//! The requests of one push reach several replicas. They go on with each other's uploads
//! only where all sign the state of an upload with the same secret (`http.secret` of
//! distribution) and write to the same storage. No probe shows that: it takes an upload,
//! which is begun, asked for elsewhere, and deleted. Nothing is sent in it.
//!
//! This is one request to one replica each, and what the answers come to; `survey` knows
//! where the replicas are, and asks all of them.

mod client;
mod diagnosis;
mod login;
mod repository;
mod trial;
mod upload;

pub(crate) use client::Client;
pub use diagnosis::{UploadFinding, UploadFindingKind, diagnose};
pub use repository::{NoRepository, Repository};
pub use trial::{Seen, Trial};
pub(crate) use upload::Upload;

//! What is served on the admin listener: the page, the API, the status.

pub mod access;
pub mod api;
pub mod check_status;
pub mod http;
mod page;
pub mod readiness;
pub mod replica_status;
pub mod status;

//! What is served on the admin listener: the page, the API, the status.

mod access;
pub mod api;
mod page;
pub mod status;

//! A running host: what it does whatever filter it carries, shown with a small
//! guest, and what it does with a chain of filters.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod dns;
mod eventually;
mod filters;
mod first_flight;
mod guest;
mod lifecycle;
mod limits;
mod log;
mod plan;
mod replica;
mod running;
mod sessions;
mod steering;
mod takeover;

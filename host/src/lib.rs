//! The host.

pub mod plan;
pub mod testkit;
pub mod vm;

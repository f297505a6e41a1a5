//! The host.

pub mod plan;
pub mod vm;

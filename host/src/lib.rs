//! The host.

pub mod config;
pub mod plan;
pub mod vm;

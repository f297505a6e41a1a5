//! What the filter and the hosts that run it must agree on.

pub mod route;

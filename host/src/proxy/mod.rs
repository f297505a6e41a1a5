//! The proxy: its start and end, its workers, and a connection from accept to log.

pub(crate) mod accept;
pub(crate) mod admin;
pub(crate) mod host;
pub(crate) mod session;
pub(crate) mod worker;

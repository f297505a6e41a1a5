//! Probes `/_ping`, judges each replica, and picks one for every TCP connection.

pub mod config;

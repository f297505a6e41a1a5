//! A plan as an Envoy bootstrap: the same listeners, clusters, routes and filter,
//! run by Envoy instead of the host.

mod bootstrap;
mod cluster;
mod connection;
mod listener;
mod options;
mod overload;
mod plugin;
#[cfg(test)]
mod tests;
mod tls;
mod yaml;

pub use bootstrap::bootstrap;
pub use options::BootstrapOptions;

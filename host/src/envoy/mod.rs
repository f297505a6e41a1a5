//! A plan for Envoy: the same listeners, clusters, routes and filter, run by Envoy
//! instead of the host.
//!
//! [`bootstrap`] writes all of it into one file, which holds until Envoy is started
//! again. A [`Folder`] holds it in files that Envoys watch, and goes from one plan to
//! the next without a connection noticing; [`kubernetes`] writes manifests of Envoys that
//! do so.

mod access_log;
mod bootstrap;
mod change;
mod cluster;
mod connection;
mod discovery;
mod folder;
mod istio;
mod kubernetes;
mod listener;
mod listener_name;
mod options;
mod overload;
mod plugin;
mod proxy_protocol;
mod resources;
mod running;
#[cfg(test)]
mod tests;
mod tls;
mod watched_clusters;
mod yaml;

pub use bootstrap::bootstrap;
pub use change::{Applied, Change, Confirmed, FolderError};
pub use folder::Folder;
pub use istio::{IstioOptions, istio};
pub use kubernetes::{KubernetesOptions, kubernetes};
pub use listener_name::{ADMIN_NAME, listener_names};
pub use options::BootstrapOptions;

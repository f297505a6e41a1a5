//! The operator's configuration, read and checked once: what a [`Config`] contains
//! is valid, and nothing after it checks again.
//!
//! ```
//! use dtr_lb::config::Config;
//!
//! let text = r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.11" }] }"#;
//! let config = Config::parse(text, "lb.json")?;
//! assert_eq!(config.replicas[0].name, "r1");
//! assert_eq!(config.listeners.len(), 2, "80 and 443");
//! # Ok::<(), dtr_lb::config::ConfigErrors>(())
//! ```

mod address;
mod admin;
mod admin_contact;
mod balancer;
mod chain;
mod changes;
mod config_file;
mod defaults;
mod dns_name;
mod duration;
mod error;
mod file_admin;
mod flags;
pub(crate) mod foreign;
pub(crate) mod json;
mod network;
mod network_filter;
mod number;
mod own_listener;
mod place;
mod problems;
mod proxy_protocol;
mod schema;
mod services;
mod source;
mod string;
mod takeover_socket;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod verify;
mod warning;
mod warnings;
mod words;

pub use address::{Address, Endpoint};
pub use admin::{Admin, AdminTls};
pub use admin_contact::AdminContact;
pub(crate) use balancer::is_srv;
pub use balancer::{
    Check, ClusterStatus, Config, Discover, Health, Listener, Passive, Replica, Trust,
};
pub use chain::{Chain, ChainCluster, ChainListener, Protocol};
pub use changes::Changes;
pub use config_file::ConfigFile;
pub use dns_name::DnsName;
pub use dtr_lb_filter::clients::Networks;
pub use dtr_lb_filter::config::{Protect, Service};
pub use error::{ConfigError, ConfigErrors};
pub use file_admin::{FileAdmin, Needed, Serves};
pub use flags::Flags;
pub use network_filter::{Failure, NetworkFilter, VmSettings};
pub use proxy_protocol::{ProxyProtocol, TrustedProxies};
pub use schema::json_schema;
pub use services::Services;
pub use verify::Verify;
pub use warning::ConfigWarning;

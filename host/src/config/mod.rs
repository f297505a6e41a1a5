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
//! # Ok::<(), dtr_lb::config::ConfigError>(())
//! ```

mod address;
mod balancer;
mod chain;
mod config_file;
mod defaults;
mod duration;
mod error;
mod flags;
pub(crate) mod foreign;
mod json_error;
mod network_filter;
mod number;
mod own_listener;
mod source;
mod string;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod unique_map;
mod verify;

pub use address::{Address, Endpoint};
pub use balancer::{Admin, Check, Config, Health, Listener, Passive, Replica};
pub use chain::{Chain, ChainCluster, ChainListener, Protocol};
pub use config_file::ConfigFile;
pub use error::ConfigError;
pub use flags::Flags;
pub use network_filter::{Failure, NetworkFilter, VmSettings};
pub use verify::Verify;

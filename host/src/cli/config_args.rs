//! The configuration a command is given: a file, or flags.

use std::path::PathBuf;

use clap::Args;
use dtr_lb::config::{Config, ConfigError, ConfigFile, Flags};

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration, a JSON file; host/README.md describes its fields.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Without a file: the registry's name, as clients use it.
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "config",
        conflicts_with = "config"
    )]
    fqdn: Option<String>,
    /// Without a file: a replica's IP address or DNS name; once for each replica.
    #[arg(
        long,
        value_name = "[NAME=]ADDRESS",
        required_unless_present = "config",
        conflicts_with = "config"
    )]
    replica: Vec<String>,
    /// Address to listen on, and the service's port it serves when that is another
    /// one; once for each address [default: 0.0.0.0:80 and 0.0.0.0:443].
    #[arg(long, value_name = "BIND[=PORT]", conflicts_with = "config")]
    listen: Vec<String>,
    /// Health check of the replicas: dtr, dtr-legacy, ucp, harbor, quay,
    /// distribution, nexus, gitlab, http or tcp [default: dtr].
    #[arg(long, value_name = "PRESET", conflicts_with = "config")]
    health_preset: Option<String>,
    /// Target of the health check, such as http:5000/v2/ [default: https:443 and the
    /// preset's path].
    #[arg(long, value_name = "SCHEME:PORT/PATH", conflicts_with = "config")]
    health_target: Option<String>,
    /// How the health check verifies a replica's certificate: system, none, or a file
    /// of CA certificates (PEM) [default: system].
    #[arg(long, value_name = "HOW", conflicts_with = "config")]
    verify: Option<String>,
    /// Address of the status page, the API and the metrics [default: none].
    #[arg(long, value_name = "BIND", conflicts_with = "config")]
    admin: Option<String>,
    /// How a replica is chosen: least-connections, round-robin, random-two or
    /// source-hash [default: least-connections].
    #[arg(long, value_name = "POLICY", conflicts_with = "config")]
    policy: Option<String>,
}

impl ConfigArgs {
    /// Reads and checks the configuration: the balancer's, or a chain of filters.
    pub(crate) fn read(&self) -> Result<ConfigFile, ConfigError> {
        match &self.config {
            Some(file) => ConfigFile::load(file),
            None => Ok(ConfigFile::Balancer(Box::new(self.config()?))),
        }
    }

    fn config(&self) -> Result<Config, ConfigError> {
        Config::from_flags(&Flags {
            fqdn: self.fqdn.clone().unwrap_or_default(),
            replicas: self.replica.clone(),
            listen: self.listen.clone(),
            health_preset: self.health_preset.clone(),
            health_target: self.health_target.clone(),
            verify: self.verify.clone(),
            admin: self.admin.clone(),
            policy: self.policy.clone(),
        })
    }
}

//! The configuration a command is given: a file, or flags.

use std::io;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use dtr_lb::config::{Config, ConfigErrors, ConfigFile, FileAdmin, Flags, Needed};

use super::failure::Failure;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("configuration").required(true).args(["config", "fqdn"])))]
pub(crate) struct ConfigArgs {
    /// The configuration, a JSON file, or - for standard input; docs/reference.md
    /// describes its fields.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Without a file: the registry's name, as clients use it.
    #[arg(long, value_name = "NAME", requires = "replica")]
    fqdn: Option<String>,
    /// Without a file: a replica's IP address or DNS name; once for each replica.
    #[arg(
        long,
        value_name = "[NAME=]ADDRESS",
        requires = "fqdn",
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
    pub(crate) fn read(&self) -> Result<ConfigFile, ConfigErrors> {
        match &self.config {
            Some(file) => read_file(file),
            None => Ok(ConfigFile::Balancer(Box::new(self.config()?))),
        }
    }

    /// The same once more, as it is now.
    ///
    /// # Errors
    /// It is wrong now, or it came from standard input, which has ended.
    pub(crate) fn read_again(&self) -> Result<ConfigFile, Failure> {
        if self.is_standard_input() {
            return Err(Failure::Usage(anyhow::anyhow!(
                "a configuration from {STANDARD_INPUT} can't be read again; give a file to \
                 reload it"
            )));
        }
        Ok(self.read()?)
    }

    /// Whether it comes from standard input, which can't be read again.
    pub(crate) fn is_standard_input(&self) -> bool {
        self.config.as_deref().is_some_and(is_standard_input)
    }

    /// The file, if it is one that can be read again.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.config
            .as_deref()
            .filter(|file| !is_standard_input(file))
    }

    /// Where it comes from, as its errors name it.
    pub(crate) fn name(&self) -> String {
        match &self.config {
            Some(file) if is_standard_input(file) => STANDARD_INPUT.to_owned(),
            Some(file) => file.display().to_string(),
            None => "command line".to_owned(),
        }
    }

    fn config(&self) -> Result<Config, ConfigErrors> {
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

/// Reads and checks the configuration of a file, or - for standard input.
pub(crate) fn read_file(file: &Path) -> Result<ConfigFile, ConfigErrors> {
    match is_standard_input(file) {
        true => ConfigFile::read(io::stdin().lock(), STANDARD_INPUT),
        false => ConfigFile::load(file),
    }
}

/// Reads what such a file says of the admin listener, and nothing else.
pub(super) fn read_admin(file: &Path, needed: Needed) -> Result<FileAdmin, ConfigErrors> {
    match is_standard_input(file) {
        true => FileAdmin::read(io::stdin().lock(), STANDARD_INPUT, needed),
        false => FileAdmin::load(file, needed),
    }
}

fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == "-"
}

const STANDARD_INPUT: &str = "standard input";

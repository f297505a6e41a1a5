//! The DNS names of a configuration.

use super::address::Address;
use super::config_file::ConfigFile;
use super::source::Source;
use super::warning::ConfigWarning;

/// A DNS name, and the field it stands in.
#[derive(Clone, Debug)]
pub struct DnsName {
    name: String,
    field: String,
    source: Source,
}

impl DnsName {
    /// The name itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A warning about it.
    #[must_use]
    pub fn warning(&self, problem: impl Into<String>) -> ConfigWarning {
        let field = &self.field;
        self.source.warning(field, self.name.as_str(), problem)
    }
}

impl ConfigFile {
    /// Each DNS name of a replica or a cluster, in the order of the file.
    #[must_use]
    pub fn dns_names(&self) -> Vec<DnsName> {
        let mut names = Vec::new();
        let mut add = |address: &Address, source: &Source, field: String| {
            if let Address::Name(name) = address {
                names.push(DnsName {
                    name: name.clone(),
                    field,
                    source: source.clone(),
                });
            }
        };
        match self {
            ConfigFile::Balancer(_) | ConfigFile::Services(_) => {
                for (at, config) in self.registries().iter().enumerate() {
                    for (index, replica) in config.replicas.iter().enumerate() {
                        let field = match &config.service {
                            None => format!("replicas[{index}].address"),
                            Some(_) => format!("services[{at}].replicas[{index}].address"),
                        };
                        add(&replica.address, &config.source, field);
                    }
                }
            }
            ConfigFile::Chain(chain) => {
                for (at, cluster) in chain.clusters.iter().enumerate() {
                    for (index, endpoint) in cluster.endpoints.iter().enumerate() {
                        let field = format!("clusters[{at}].endpoints[{index}]");
                        add(&endpoint.address, &chain.source, field);
                    }
                }
            }
        }
        names
    }
}

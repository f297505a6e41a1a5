//! The DNS names of a configuration.

use super::address::Address;
use super::balancer::Replica;
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

    fn of(address: &Address, source: &Source, field: String) -> Option<DnsName> {
        match address {
            Address::Ip(_) => None,
            Address::Name(name) => Some(DnsName {
                name: name.clone(),
                field,
                source: source.clone(),
            }),
        }
    }

    /// A warning about it.
    #[must_use]
    pub fn warning(&self, problem: impl Into<String>) -> ConfigWarning {
        let field = &self.field;
        self.source.warning(field, self.name.as_str(), problem)
    }
}

impl ConfigFile {
    /// Each DNS name of a replica or a cluster, in the order of the file; not those that
    /// stand for many replicas.
    #[must_use]
    pub fn dns_names(&self) -> Vec<DnsName> {
        let mut names = self.names_of_replicas(|replica| replica.discover.is_none());
        if let ConfigFile::Chain(chain) = self {
            for (at, cluster) in chain.clusters.iter().enumerate() {
                for (index, endpoint) in cluster.endpoints.iter().enumerate() {
                    let field = format!("clusters[{at}].endpoints[{index}]");
                    names.extend(DnsName::of(&endpoint.address, &chain.source, field));
                }
            }
        }
        names
    }

    /// Each DNS name that stands for many replicas, in the order of the file.
    #[must_use]
    pub fn discovered_names(&self) -> Vec<DnsName> {
        self.names_of_replicas(|replica| replica.discover.is_some())
    }

    fn names_of_replicas(&self, which: impl Fn(&Replica) -> bool) -> Vec<DnsName> {
        let mut names = Vec::new();
        for (at, config) in self.registries().iter().enumerate() {
            let replicas = config.replicas.iter().enumerate();
            for (index, replica) in replicas.filter(|(_, one)| which(one)) {
                let field = match &config.service {
                    None => format!("replicas[{index}].address"),
                    Some(_) => format!("services[{at}].replicas[{index}].address"),
                };
                names.extend(DnsName::of(&replica.address, &config.source, field));
            }
        }
        names
    }
}

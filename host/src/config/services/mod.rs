//! Several registries on the same listeners.
//!
//! In the file each service has what is a registry's own, and the top level what is the
//! balancer's. So each is read as the file of one registry that it is together with the top
//! level.

mod file;
mod parts;

use std::collections::BTreeMap;
use std::time::Duration;

use dtr_lb_filter::config::Service;
use dtr_lb_filter::contract::normalized;

use super::balancer::{self, Config};
use super::duration::BoundedDuration;
use super::error::ConfigErrors;
use super::json;
use super::problems::Problems;
use super::warning::ConfigWarning;

pub(super) use file::File;

/// Several registries on the same listeners.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Services {
    /// In the operator's order; never empty. Each has its [`Config::service`], and replicas
    /// whose names begin with its name, as `dtr/r1`. What is the balancer's and not a
    /// registry's is the same in all.
    pub services: Vec<Config>,
    /// The name of the one for clients that ask for none of the names, or for nothing.
    pub default: String,
    /// How long a client may take to say which it wants.
    pub hello_timeout: Duration,
    /// What is probably not meant.
    pub warnings: Vec<ConfigWarning>,
}

/// Reads and checks the file.
pub(super) fn read(mut problems: Problems) -> Result<Services, ConfigErrors> {
    let (mut whole, parts) = parts::split(&problems);
    let file: Option<File> = json::read(&mut whole);
    let mut services: Vec<(usize, Config)> = Vec::new();
    for (index, mut part) in parts {
        let read = json::read(&mut part);
        if let Some(mut config) = read.map(|file| balancer::validate(file, &mut part)) {
            // They are read once.
            if let Some((_, first)) = services.first() {
                config.filters.clone_from(&first.filters);
            }
            services.push((index, config));
        }
        if part.is_refused("fqdn") {
            whole.mark_refused(format!("services[{index}].fqdn"));
        }
        problems.absorb(part);
    }
    let services = file.map(|file| services_of(&file, services, &mut whole));
    problems.absorb(whole);
    let (services, warnings) = problems.finish(services)?;
    Ok(Services {
        warnings,
        ..services
    })
}

/// Names the services, and what is theirs.
fn services_of(file: &File, configs: Vec<(usize, Config)>, problems: &mut Problems) -> Services {
    if file.services.is_empty() {
        let problem = r#"no service; add at least one, such as {"fqdn": "dtr.example.com", "replicas": [{"address": "10.0.0.11"}]}"#;
        problems.refuse("services", serde_json::json!([]), problem);
    }
    let mut taken = Taken::default();
    let mut services = Vec::new();
    for (index, config) in configs {
        if let Some(own) = file.services.get(index) {
            let service = own.service(&config);
            taken.add(&service, own, &format!("services[{index}]"), problems);
            services.push(of_service(config, service));
        }
    }
    let names: Vec<&str> = services.iter().filter_map(Config::service_name).collect();
    let default = match &file.default {
        None => names.first().copied().unwrap_or_default(),
        Some(given) => {
            let are_known = !problems.is_refused_in_part("services");
            if are_known && !names.contains(&given.0.as_str()) {
                let hint = match json::nearest(&given.0, &names) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("known: {}", names.join(", ")),
                };
                let problem = format!("there is no service of this name; {hint}");
                problems.refuse("default", given.0.as_str(), problem);
            }
            &given.0
        }
    };
    Services {
        default: default.to_owned(),
        hello_timeout: file
            .hello_timeout
            .map_or(HELLO_TIMEOUT, BoundedDuration::get),
        services,
        warnings: Vec::new(),
    }
}

/// The registry as one of several: its replicas are named after it.
fn of_service(mut config: Config, service: Service) -> Config {
    for replica in &mut config.replicas {
        replica.name = format!("{}/{}", service.name, replica.name);
    }
    config.service = Some(service);
    config
}

impl file::OwnFields {
    /// Its name is that of the registry unless it has another, and its clients ask for the
    /// registry's name at least.
    fn service(&self, config: &Config) -> Service {
        let name = self.name.as_ref().map(|name| &name.0);
        let more = self.names.iter().map(|name| name.0.clone());
        Service {
            name: name.unwrap_or(&config.fqdn).clone(),
            names: std::iter::once(config.fqdn.clone()).chain(more).collect(),
        }
    }
}

/// Names that are taken, and by which field.
#[derive(Default)]
struct Taken {
    services: BTreeMap<String, String>,
    names: BTreeMap<String, String>,
}

impl Taken {
    fn add(
        &mut self,
        service: &Service,
        own: &file::OwnFields,
        field: &str,
        problems: &mut Problems,
    ) {
        for (index, name) in service.names.iter().enumerate() {
            let at = match index.checked_sub(1) {
                None => format!("{field}.fqdn"),
                Some(index) => format!("{field}.names[{index}]"),
            };
            let known = normalized(name);
            if let Some(other) = self.names.get(&known) {
                let problem = format!("{other} is the same; a client's name leads to one service");
                problems.refuse(&at, name.as_str(), problem);
            } else {
                self.names.insert(known, at);
            }
        }
        let name = service.name.as_str();
        if let Some(other) = self.services.get(name) {
            // Two of one fqdn are refused for that already.
            if own.name.is_some() {
                let problem = format!("{other} has the same name; give each its own");
                problems.refuse(&format!("{field}.name"), name, problem);
            }
        } else {
            self.services.insert(name.to_owned(), field.to_owned());
        }
    }
}

/// Longer than a lost segment of a slow client takes to be sent again, more than once.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

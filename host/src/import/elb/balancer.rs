//! One balancer: a service for each of its listeners.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use super::attributes;
use super::documents::{Balancer, Documents};
use super::health_check;
use super::instances::{self, Addresses, Instance};
use super::json::Node;
use super::listener::{self, Listener};
use super::names;
use crate::import::error::ImportError;
use crate::import::found::{At, Check, Service};
use crate::import::note::Notes;
use crate::import::options::ImportOptions;
use crate::import::proxy_protocol;
use crate::import::written;

/// The services of all balancers.
///
/// # Errors
/// One can't be read, or an instance has no address.
pub(super) fn services(
    documents: &Documents<'_>,
    file: &str,
    options: &ImportOptions,
    notes: &mut Notes,
) -> Result<Vec<Service>, ImportError> {
    let mut listening = Vec::new();
    for balancer in &documents.balancers {
        let mut own_notes = Notes::default();
        let described = Described::read(balancer, documents.attributes, options, &mut own_notes)?;
        let (name, place) = (described.name.clone(), described.node.place());
        let own = described.listening(options, &mut own_notes);
        if own.is_empty() {
            notes.append(own_notes.only_not_taken());
            let text =
                format!("the load balancer {name}: it has no listener that passes TCP through");
            notes.not_taken(&place, text);
        } else if own.iter().any(|one| one.service.is_wanted(&options.only)) {
            notes.append(own_notes);
        } else {
            notes.not_taken(
                &place,
                format!("the load balancer {name}: --only leaves it out"),
            );
        }
        listening.extend(own);
    }
    let servers: usize = listening.iter().map(|one| one.instances.len()).sum();
    if servers > MOST_SERVERS {
        let problem = format!("more than {MOST_SERVERS} instances in all; import a part of them");
        return Err(ImportError::of_file(file, problem));
    }
    note_unknown(&listening, documents, options, notes);
    // Those that --only leaves out need no addresses.
    let wanted: Vec<&Listening> = listening
        .iter()
        .filter(|one| one.service.is_wanted(&options.only))
        .collect();
    refuse_several(&wanted, file)?;
    if let Some(empty) = wanted.iter().find(|one| one.instances.is_empty()) {
        let problem = format!(
            "{} lists no instances; say which there are and where, with --instances \
             i-0abc=10.0.0.11,...",
            empty.service.name
        );
        return Err(ImportError::of_file(file, problem));
    }
    let instances = wanted.iter().flat_map(|one| one.instances.iter());
    let addresses = Addresses::of(instances, file, options)?;
    let services = listening.into_iter().map(|one| Service {
        servers: addresses.servers(&one.instances, one.port),
        ..one.service
    });
    Ok(services.collect())
}

/// A service, and the instances that are its servers.
struct Listening {
    service: Service,
    /// Of the instances.
    port: u16,
    instances: Rc<[Instance]>,
}

/// Advises on instances that the operator gives an address, and no balancer has.
fn note_unknown(
    listening: &[Listening],
    documents: &Documents<'_>,
    options: &ImportOptions,
    notes: &mut Notes,
) {
    let listed = listening.iter().flat_map(|one| one.instances.iter());
    let listed: BTreeSet<&str> = listed.map(|instance| instance.id.as_str()).collect();
    let given = options.instances.keys();
    let unknown: Vec<&String> = given.filter(|id| !listed.contains(id.as_str())).collect();
    if let (Some(first), false) = (documents.balancers.first(), unknown.is_empty()) {
        let text = format!(
            "--instances has {}, which no load balancer here lists; correct the id, or leave it out",
            written::list(unknown.into_iter().cloned())
        );
        notes.advice(&first.node.place(), text);
    }
}

/// Balancers with other instances are other configurations.
fn refuse_several(wanted: &[&Listening], file: &str) -> Result<(), ImportError> {
    let ids = |one: &Listening| -> BTreeSet<String> {
        one.instances
            .iter()
            .map(|instance| instance.id.clone())
            .collect()
    };
    let Some(first) = wanted.first() else {
        return Ok(());
    };
    let first_ids = ids(first);
    let is_other =
        |one: &&&Listening| !Rc::ptr_eq(&one.instances, &first.instances) && ids(one) != first_ids;
    if wanted.iter().find(is_other).is_none() {
        return Ok(());
    }
    let mut names: Vec<String> = wanted.iter().map(|one| one.service.name.clone()).collect();
    names.dedup();
    let problem = format!(
        "several load balancers with instances of their own: {}; import one at a time, with --only \
         and its name",
        written::list(names.into_iter())
    );
    Err(ImportError::of_file(file, problem))
}

/// What a description says.
struct Described<'a> {
    node: Node<'a>,
    name: String,
    fqdn: Option<At<String>>,
    listeners: Vec<Listener>,
    check: Option<At<Check>>,
    idle_timeout: Option<At<Duration>>,
    instances: Vec<Instance>,
}

impl<'a> Described<'a> {
    fn read(
        balancer: &Balancer<'a>,
        beside: Option<Node<'a>>,
        options: &ImportOptions,
        notes: &mut Notes,
    ) -> Result<Self, ImportError> {
        let node = balancer.node;
        // A template may leave the name to a function, and names its resource itself.
        let name = match (node.get("LoadBalancerName"), &balancer.logical_id) {
            (Some(name), Some(id)) => name.text().unwrap_or_else(|_| id.clone()),
            (Some(name), None) => name.text()?,
            (None, Some(id)) => id.clone(),
            (None, None) => "the load balancer".to_owned(),
        };
        let mut described = Described {
            node,
            name,
            fqdn: None,
            listeners: Vec::new(),
            check: None,
            idle_timeout: None,
            instances: Vec::new(),
        };
        for (field, value) in node.fields() {
            described.field(field, &value, options, notes)?;
        }
        if let Some(attributes) = beside {
            described.attributes(&attributes, notes)?;
        }
        Ok(described)
    }

    fn field(
        &mut self,
        field: &str,
        value: &Node<'a>,
        options: &ImportOptions,
        notes: &mut Notes,
    ) -> Result<(), ImportError> {
        let place = value.place();
        match field {
            "LoadBalancerName" => {
                notes.taken(
                    &place,
                    format!("{field}: {} is what --only calls it", self.name),
                );
            }
            "DNSName" => {
                let value = value.text()?;
                notes.taken_as(&place, "fqdn", field, &value);
                if options.fqdn.is_none() {
                    let text = format!(
                        "{field}: where clients call the registry by another name than {value}, \
                         import again with --fqdn and that name"
                    );
                    notes.advice(&place, text);
                }
                self.fqdn = Some(At { value, place });
            }
            "ListenerDescriptions" | "Listeners" => {
                for listener in value.items()? {
                    self.listeners.extend(listener::read(&listener, notes)?);
                }
            }
            "HealthCheck" => self.check = Some(health_check::read(value, notes)?),
            "Instances" => self.instances = instances::read(value, notes)?,
            "LoadBalancerAttributes" => self.attributes(value, notes)?,
            _ if attributes::is_one(field) => self.attribute(field, value, notes)?,
            _ if value.is_empty() => {
                notes.not_taken(&place, format!("{field}: there is nothing in it"));
            }
            _ => {
                let reason = names::reason(field).unwrap_or("not known here");
                notes.not_taken(&place, format!("{field}: {reason}"));
                if field == "BackendServerDescriptions" {
                    notes.advice(&place, format!("{field}: {}", proxy_protocol::SENT));
                }
            }
        }
        Ok(())
    }

    fn attributes(&mut self, all: &Node<'a>, notes: &mut Notes) -> Result<(), ImportError> {
        for (field, value) in all.fields() {
            self.attribute(field, &value, notes)?;
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        field: &str,
        value: &Node<'a>,
        notes: &mut Notes,
    ) -> Result<(), ImportError> {
        if let Some(timeout) = attributes::read(field, value, notes)? {
            self.idle_timeout = Some(timeout);
        }
        Ok(())
    }

    fn listening(self, options: &ImportOptions, notes: &mut Notes) -> Vec<Listening> {
        if self.idle_timeout.is_none() && !self.listeners.is_empty() {
            notes.advice(
                &self.node.place(),
                format!(
                    "{}: a classic load balancer ends a connection that is silent for 60 s unless \
                     its attributes say otherwise, and the registry's guide wants more than 10 \
                     minutes or no limit; there is none now",
                    self.name
                ),
            );
        }
        // A group of instances has none that are listed.
        let instances: Rc<[Instance]> = match self.instances.is_empty() {
            true => Instance::all_of(options, &self.node.place()).into(),
            false => self.instances.into(),
        };
        let one = |listener: Listener| Listening {
            port: listener.port,
            instances: Rc::clone(&instances),
            service: Service {
                fqdn: self.fqdn.clone(),
                binds: vec![listener.bind],
                check: self.check.clone(),
                idle_timeout: self.idle_timeout.clone(),
                implied_idle_timeout: Some(IDLE_TIMEOUT),
                ..Service::new(self.name.clone(), listener.place)
            },
        };
        self.listeners.into_iter().map(one).collect()
    }
}

/// AWS's default.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Over all listeners: an instance counts for each.
const MOST_SERVERS: usize = 100_000;

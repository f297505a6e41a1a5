//! The replicas of the file, checked against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::check_builder::ports_are_known;
use super::discover::{is_srv, only_port};
use super::file;
use super::{Check, Listener, Replica};
use crate::config::address::Address;
use crate::config::number::BoundedInt;
use crate::config::problems::Problems;
use crate::config::source::Source;

/// The replicas, their names and addresses unique, their ports in use.
pub(super) fn replicas(
    file: &[file::Replica],
    (listeners, checks): (&[Listener], &[Check]),
    problems: &mut Problems,
) -> Vec<Replica> {
    if file.is_empty() {
        let problem = r#"no replica; add at least one, such as {"address": "10.0.0.11"}"#;
        problems.refuse("replicas", serde_json::json!([]), problem);
    }
    let ports_are_known = ports_are_known(listeners, problems);
    let known: BTreeSet<u16> = listeners
        .iter()
        .map(|listener| listener.port)
        .chain(checks.iter().map(|check| check.port))
        .collect();
    let mut replicas: Vec<Replica> = Vec::new();
    for (index, replica) in file.iter().enumerate() {
        let name = match &replica.name {
            Some(name) => name.0.clone(),
            None => format!("r{}", index + 1),
        };
        let same_name = |other: &Replica| other.name == name;
        if let Some(other) = replicas.iter().position(same_name)
            && !problems.is_refused(&format!("replicas[{other}].name"))
        {
            let field = format!("replicas[{index}].name");
            let problem = match problems.source() {
                Source::File(_) => {
                    format!("replicas[{other}] has the same name; give each its own")
                }
                Source::Flags => "another replica has the same name; give each its own".to_owned(),
            };
            problems.refuse(&field, name.as_str(), problem);
        }
        let ports = replica
            .ports
            .0
            .iter()
            .map(|(port, own)| (port.0, own.u16()));
        let ports: BTreeMap<u16, u16> = ports.collect();
        let unknown = ports.iter().filter(|(port, _)| !known.contains(port));
        for (port, own) in unknown.filter(|_| ports_are_known) {
            let known: Vec<String> = known.iter().map(u16::to_string).collect();
            let problem = format!(
                "no listener and no check uses port {port}; known: {}",
                known.join(", ")
            );
            problems.refuse(&format!("replicas[{index}].ports.{port}"), *own, problem);
        }
        let address = replica.address.clone();
        let twin = |other: &Replica| same(&other.address, &address) && other.ports == ports;
        let ports_refused =
            |index| problems.is_refused_in_part(&format!("replicas[{index}].ports"));
        if let Some(other) = replicas.iter().position(twin)
            && !ports_refused(other)
            && !ports_refused(index)
        {
            let problem = match problems.source() {
                Source::File(_) => format!(
                    "replicas[{other}] has the same address and ports; remove one, or give it its own \"ports\""
                ),
                Source::Flags => "another replica has the same address; remove one".to_owned(),
            };
            let field = format!("replicas[{index}].address");
            problems.refuse(&field, address.to_string(), problem);
        }
        let id = replica.id.as_ref().map(|id| id.0.clone());
        let same_id = |other: &Replica| id.is_some() && other.id == id;
        if let Some(other) = replicas.iter().position(same_id) {
            let field = format!("replicas[{index}].id");
            let problem = format!("replicas[{other}] has the same id; give each its own");
            problems.refuse(&field, id.as_deref().unwrap_or_default(), problem);
        }
        if replica.discover.is_some() {
            let rules = EntryForMany {
                index,
                name: &name,
                given: replica,
            };
            rules.refuse(listeners, problems);
        } else if let Address::Name(name) = &address
            && is_srv(name)
            && !problems.is_refused_in_part(&format!("replicas[{index}].discover"))
        {
            let problem = match problems.source() {
                Source::File(_) => {
                    "the name is one of SRV records, and has no address of its own; add \
                     \"discover\": \"dns\", or give the name of one host"
                }
                Source::Flags => {
                    "the name is one of SRV records, and has no address of its own; give the names \
                     of hosts, or write a file with \"discover\": \"dns\""
                }
            };
            let field = format!("replicas[{index}].address");
            problems.refuse(&field, name.as_str(), problem);
        }
        replicas.push(Replica {
            name,
            id,
            address,
            discover: replica.discover,
            weight: replica.weight.map_or(1, BoundedInt::u32),
            backup: replica.backup,
            max_connections: replica.max_connections.map(BoundedInt::u32),
            state: replica.state.unwrap_or_default(),
            ports,
        });
    }
    replicas
}

/// An entry of the file that stands for many replicas.
struct EntryForMany<'a> {
    index: usize,
    name: &'a str,
    given: &'a file::Replica,
}

impl EntryForMany<'_> {
    /// Refuses what it can't have.
    fn refuse(&self, listeners: &[Listener], problems: &mut Problems) {
        let field = |name: &str| format!("replicas[{}].{name}", self.index);
        let Address::Name(address) = &self.given.address else {
            let problem = "its address is no DNS name, and stands for one replica; give a name, \
                           or leave \"discover\" out";
            return problems.refuse(&field("discover"), "dns", problem);
        };
        if self.name.len() > LONGEST_NAME_FOR_MANY {
            let problem = format!(
                "each replica that it stands for has its own address added to this name; give at \
                 most {LONGEST_NAME_FOR_MANY} characters"
            );
            problems.refuse(&field("name"), self.name, problem);
        }
        if let Some(id) = &self.given.id {
            let problem = "an id is that of one replica, and this entry stands for many; leave it \
                           out";
            problems.refuse(&field("id"), id.0.as_str(), problem);
        }
        if !is_srv(address) {
            return;
        }
        if only_port(listeners).is_none() && !problems.is_refused_in_part("listeners") {
            let problem = "an SRV record has one port, and the listeners serve several; give a \
                           name whose addresses are the replicas, or serve one port";
            problems.refuse(&field("address"), address.as_str(), problem);
        }
        let of_record = [
            ("ports", !self.given.ports.0.is_empty()),
            ("weight", self.given.weight.is_some()),
        ];
        for (what, _) in of_record.into_iter().filter(|(_, is_given)| *is_given) {
            let problem = format!("an SRV record has its own {what}; leave this out");
            problems.refuse_field(&field(what), problem);
        }
    }
}

/// DNS names are the same in upper and lower case.
fn same(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Name(one), Address::Name(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

/// In bytes: with an IPv6 address and a port behind it a name has at most 63.
const LONGEST_NAME_FOR_MANY: usize = 16;

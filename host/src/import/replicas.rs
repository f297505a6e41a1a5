//! Replicas from the servers of all services: a machine that is reached through
//! several ports is one replica.

use std::collections::{BTreeMap, BTreeSet};

use super::error::ImportError;
use super::found::{Server, Service};
use super::note::Notes;
use super::output::Replica;
use super::written;

/// What the servers came to.
pub(super) struct Replicas {
    pub(super) replicas: Vec<Replica>,
    /// The service's port of each service, in their order.
    pub(super) ports: Vec<u16>,
}

/// One replica for each machine, in the first service's order; a second server on one
/// machine is another replica.
///
/// # Errors
/// A service has no server, or the services do not have the same machines.
pub(super) fn replicas(
    services: &mut [Service],
    file: &str,
    notes: &mut Notes,
) -> Result<Replicas, ImportError> {
    leave_out(services, notes);
    let services = &*services;
    let serves = |server: &Server| !server.in_maintenance;
    if let Some(empty) = services.iter().find(|one| !one.servers.iter().any(serves)) {
        let problem = format!("{} has no server that may serve", empty.title());
        return Err(ImportError::of_file(file, problem));
    }
    let machines: Vec<Machine> = services.first().map(machines).unwrap_or_default();
    let ports: Vec<u16> = services.iter().map(service_port).collect();
    let mut replicas: Vec<Replica> = Vec::new();
    let mut servers: Vec<Vec<&Server>> = vec![Vec::new(); machines.len()];
    for service in services {
        let mut own: BTreeMap<Machine, &Server> = of_machines(service);
        for (machine, same) in machines.iter().zip(&mut servers) {
            let server = own.remove(machine);
            same.push(server.ok_or_else(|| other_machines(services, service, machine, file))?);
        }
        if let Some(machine) = own.keys().next() {
            let first = services.first().unwrap_or(service);
            return Err(other_machines(services, first, machine, file));
        }
    }
    let weights = written::weights(&servers);
    let mut names = Names::default();
    for (same, weight) in servers.iter().zip(weights) {
        let Some(server) = same.first() else { continue };
        note_differences(server, same, notes);
        if server.in_maintenance {
            let text = "out of service, and so is the replica (\"state\": \"maintenance\"): take \
                        \"state\" out of the file to put it back, or use dtr-lb ready, which needs \
                        an \"admin\"";
            notes.advice(&server.place, text);
        }
        let limit: Option<u64> = same.iter().map(|one| one.max_connections).sum();
        replicas.push(Replica {
            name: names.unique(server, notes),
            address: server.host.clone(),
            weight,
            backup: server.backup,
            state: server.in_maintenance.then_some("maintenance"),
            max_connections: limit.map(|limit| limit.clamp(1, written::MOST_CONNECTIONS)),
            ports: own_ports(same, services, &ports, file)?,
        });
    }
    Ok(Replicas { replicas, ports })
}

/// A server out of service that only some of the services have is missed by nobody.
fn leave_out(services: &mut [Service], notes: &mut Notes) {
    let host = |server: &Server| server.host.to_ascii_lowercase();
    let hosts = |service: &Service| service.servers.iter().map(host).collect();
    let all: Vec<BTreeSet<String>> = services.iter().map(hosts).collect();
    for service in services {
        service.servers.retain(|server| {
            let in_all = all.iter().all(|hosts| hosts.contains(&host(server)));
            let is_kept = in_all || !server.in_maintenance;
            if !is_kept {
                let places = BTreeSet::from([server.place.clone()]);
                notes.leave_out(
                    &places,
                    "out of service, and not behind every listener; add it to \"replicas\" when it \
                     serves again",
                );
            }
            is_kept
        });
    }
}

/// A host in lower case, and which of its servers in one service.
type Machine = (String, usize);

fn machines(service: &Service) -> Vec<Machine> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let servers = service.servers.iter();
    servers
        .map(|server| {
            let host = server.host.to_ascii_lowercase();
            let count = seen.entry(host.clone()).or_default();
            *count += 1;
            (host, *count)
        })
        .collect()
}

fn of_machines(service: &Service) -> BTreeMap<Machine, &Server> {
    machines(service)
        .into_iter()
        .zip(&service.servers)
        .collect()
}

/// The port that all servers of a service have, or else the one clients connect to.
fn service_port(service: &Service) -> u16 {
    let mut ports = service.servers.iter().map(|server| server.port);
    let first = ports.next();
    let same = first.filter(|first| ports.all(|port| port == *first));
    let bound = service.binds.first().map(|bind| bind.value.port());
    same.or(bound).unwrap_or_default()
}

/// Where a replica has a port of its own.
fn own_ports(
    same: &[&Server],
    services: &[Service],
    ports: &[u16],
    file: &str,
) -> Result<BTreeMap<u16, u16>, ImportError> {
    let mut own: BTreeMap<u16, (u16, &Service)> = BTreeMap::new();
    for ((server, service), port) in same.iter().zip(services).zip(ports) {
        match own.get(port) {
            Some((known, other)) if *known != server.port => {
                let problem = format!(
                    "{} and {} both lead to port {port} of {}, but one to {known} and the other to {} \
                     there; import them apart, with --only",
                    other.title(),
                    service.title(),
                    server.host,
                    server.port
                );
                return Err(ImportError::of_file(file, problem));
            }
            _ => drop(own.insert(*port, (server.port, service))),
        }
    }
    let own = own.into_iter().map(|(port, (own, _))| (port, own));
    Ok(own.filter(|(port, own)| port != own).collect())
}

fn other_machines(
    services: &[Service],
    service: &Service,
    (host, _): &Machine,
    file: &str,
) -> ImportError {
    let titles = written::list(services.iter().map(Service::title));
    let problem = format!(
        "{host} is no server of {}, but of another service; all listeners of one configuration lead \
         to the same replicas: import one service at a time, with --only and one of {titles}",
        service.title()
    );
    ImportError::of_file(file, problem)
}

/// What differs between the services, and is one thing here.
fn note_differences(first: &Server, same: &[&Server], notes: &mut Notes) {
    for other in same {
        let own = |one: &Server| (one.weight, one.backup, one.in_maintenance);
        if own(other) != own(first) {
            let text = format!(
                "a replica has one weight for all listeners, and is a backup or in maintenance \
                 for all or none; what {} says is taken",
                first.place
            );
            notes.not_taken(&other.place, text);
        }
    }
    let limited = same.iter().filter(|one| one.max_connections.is_some());
    if same.len() > 1 && limited.count() > 0 {
        let text = match same.iter().all(|one| one.max_connections.is_some()) {
            true => {
                "\"max_connections\" counts a replica's connections over all listeners: the sum of \
                     its limits is taken"
            }
            false => {
                "\"max_connections\" counts a replica's connections over all listeners, and not \
                      all of them had a limit: none is taken"
            }
        };
        notes.advice(&first.place, text);
    }
}

/// The names that replicas have so far.
#[derive(Default)]
struct Names {
    used: BTreeSet<String>,
    /// The number that a name is tried with next.
    next: BTreeMap<String, usize>,
}

impl Names {
    /// The server's name, made one that can be used and that no other has.
    fn unique(&mut self, server: &Server, notes: &mut Notes) -> String {
        let numbered = format!("r{}", self.used.len() + 1);
        let name = server.name.as_deref().unwrap_or(&numbered);
        let allowed = |c: char| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '-'
            }
        };
        let mut usable: String = name.chars().map(allowed).take(LONGEST_NAME).collect();
        if usable.bytes().all(|byte| byte == b'.') {
            usable.clone_from(&numbered);
        }
        let base = usable.clone();
        while self.used.contains(&usable) {
            let next = self.next.entry(base.clone()).or_insert(1);
            *next += 1;
            usable = format!("{base}-{next}");
        }
        if server.name.as_ref().is_some_and(|name| *name != usable) {
            notes.advice(
                &server.place,
                format!("the server {name:?} is called {usable:?} now"),
            );
        }
        self.used.insert(usable.clone());
        usable
    }
}

/// Room is left in the 63 characters of a name for a number behind it.
const LONGEST_NAME: usize = 56;

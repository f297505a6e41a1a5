//! One configuration from what was found: replicas from servers, listeners from
//! services, and one health check.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::checks;
use super::chosen;
use super::error::ImportError;
use super::found::{At, Found, Policy, Service};
use super::guide;
use super::note::Notes;
use super::options::ImportOptions;
use super::output::{Admin, File, Listener, Passive, Replica};
use super::proxy_protocol::ProxyProtocol;
use super::replicas;
use super::written::{self, time};

/// Makes the configuration. What can't be kept as it was is noted.
///
/// # Errors
/// There is nothing to balance, or the services' servers are not the same machines.
pub(super) fn compose(
    mut found: Found,
    file: &str,
    options: &ImportOptions,
    notes: &mut Notes,
) -> Result<File, ImportError> {
    chosen::choose(&mut found.services, file, options, notes)?;
    let composed = replicas::replicas(&mut found.services, file, notes)?;
    let (health, checks) = checks::checks(&found.services, &composed.ports, options, notes);
    let mut listeners = Vec::new();
    for ((service, port), check) in found.services.iter().zip(&composed.ports).zip(checks) {
        for bind in &service.binds {
            let address = bind.value;
            if address.port() != *port {
                let swapped = match (address.port(), *port) {
                    (80, 443) | (443, 80) => "make sure that the two are not swapped",
                    _ => "make sure that it is meant so",
                };
                notes.advice(
                    &bind.place,
                    format!(
                        "clients connect to port {}, and the servers of {} are reached on port {port}: \
                         {swapped}",
                        address.port(),
                        service.name
                    ),
                );
            }
            listeners.push(Listener {
                bind: address.to_string(),
                port: (address.port() != *port).then_some(*port),
                max_connections: service.max_connections.as_ref().map(written::connections),
                proxy_protocol: service.proxy_protocol.map(ProxyProtocol::name),
                health: check.clone(),
            });
        }
    }
    let fqdn = fqdn(&found, &composed.replicas, file, options, notes)?;
    // A line may have named that of a service which is left out.
    notes.settled("fqdn", &fqdn, &format!("the registry is called {fqdn}"));
    let services = &found.services;
    guide::advise_ports(services, options, notes);
    let passive = first(services, "passive", |one| one.passive.clone(), notes);
    let longest = |name, pick: fn(&Service) -> Option<At<_>>, notes: &mut Notes| {
        longest(services, name, pick, notes).map(time)
    };
    Ok(File {
        fqdn,
        replicas: composed.replicas,
        listeners,
        policy: match first(services, "policy", |one| one.policy.clone(), notes) {
            None | Some(Policy::RoundRobin) => "round-robin",
            Some(Policy::LeastConnections) => "least-connections",
            Some(Policy::RandomTwo) => "random-two",
            Some(Policy::SourceHash) => "source-hash",
        },
        on_down: (services.iter().any(|one| one.closes_on_down.is_some())).then_some("close"),
        slow_start: longest("slow_start", |one| one.slow_start.clone(), notes),
        passive: passive.map(|passive| Passive {
            fails: passive.fails.clamp(1, 1000),
            window: time(passive.window),
            hold: time(passive.hold),
        }),
        health,
        admin: found
            .admin
            .map(|admin| loopback_admin(&admin, options, notes)),
        connect_timeout: longest("connect_timeout", |one| one.connect_timeout.clone(), notes),
        idle_timeout: match unlimited(services) {
            Some(service) => {
                note_unlimited(services, service, notes);
                None
            }
            None => {
                guide::advise_idle_timeout(services, notes);
                longest("idle_timeout", |one| one.idle_timeout.clone(), notes)
            }
        },
        half_close_timeout: longest(
            "half_close_timeout",
            |one| one.half_close_timeout.clone(),
            notes,
        ),
        max_connections: found.max_connections.as_ref().map(written::connections),
    })
}

/// The name clients use.
fn fqdn(
    found: &Found,
    replicas: &[Replica],
    file: &str,
    options: &ImportOptions,
    notes: &mut Notes,
) -> Result<String, ImportError> {
    let of_services = || found.services.iter().filter_map(|one| one.fqdn.as_ref());
    if let Some(fqdn) = &options.fqdn {
        for other in found.fqdn.iter().chain(of_services()) {
            if other.value != *fqdn {
                let reason = format!("the registry is called {fqdn}, as --fqdn says");
                notes.overruled(&other.place, "fqdn", reason);
            }
        }
        return Ok(fqdn.clone());
    }
    if let Some(fqdn) = &found.fqdn {
        notes.taken_as(&fqdn.place, "fqdn", "the registry's name", &fqdn.value);
        return Ok(fqdn.value.clone());
    }
    let of_service = first(&found.services, "fqdn", |one| one.fqdn.clone(), notes);
    if let Some(fqdn) = of_service {
        return Ok(fqdn);
    }
    let mut named = replicas.iter().map(|replica| &replica.address);
    let Some(first) = named.find(|address| !address.contains(':')) else {
        let problem = "the file does not say what clients call the registry; \
                       add --fqdn, such as --fqdn dtr.example.com";
        return Err(ImportError::of_file(file, problem));
    };
    if let Some(service) = found.services.first() {
        notes.advice(
            &service.place,
            format!(
                "the file does not say what clients call the registry, so that probes ask for {first}; \
                 import again with --fqdn, such as --fqdn dtr.example.com"
            ),
        );
    }
    Ok(first.clone())
}

/// The page, on loopback and with a token: it can take replicas out.
fn loopback_admin(admin: &At<SocketAddr>, options: &ImportOptions, notes: &mut Notes) -> Admin {
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, admin.value.port()));
    notes.taken(
        &admin.place,
        format!("the statistics page became \"admin\" on {bind}, with a token for changes"),
    );
    if !admin.value.ip().is_loopback() {
        notes.advice(
            &admin.place,
            format!(
                "the page on {} could be reached from other machines; \"admin\" is on loopback: in a \
                 container, bind 0.0.0.0:{} and publish it to the host's loopback only",
                admin.value,
                admin.value.port()
            ),
        );
    }
    Admin {
        bind: bind.to_string(),
        token: options.token.clone(),
    }
}

/// What the first service says that says anything; others that differ are noted.
fn first<T: Clone + PartialEq>(
    services: &[Service],
    field: &str,
    pick: impl Fn(&Service) -> Option<At<T>>,
    notes: &mut Notes,
) -> Option<T> {
    let mut given = services.iter().filter_map(pick);
    let first = given.next()?;
    for other in given.filter(|other| other.value != first.value) {
        let reason = format!(
            "there is one {field:?} for all listeners, and that of {} is taken",
            first.place
        );
        notes.overruled(&other.place, field, reason);
    }
    Some(first.value)
}

/// A service without an idle timeout of its own, whose connections were not cut as soon as
/// those of any other.
fn unlimited(services: &[Service]) -> Option<&Service> {
    let given = services.iter().filter_map(|one| one.idle_timeout.as_ref());
    let longest = given.map(|one| one.value).max()?;
    let is_longer = |implied: Duration| implied >= longest;
    services.iter().find(|service| {
        service.idle_timeout.is_none() && service.implied_idle_timeout.is_none_or(is_longer)
    })
}

/// Nobody is cut sooner than before: the others' limits are not taken.
fn note_unlimited(services: &[Service], unlimited: &Service, notes: &mut Notes) {
    let reason = format!(
        "there is one \"idle_timeout\" for all listeners, and clients of {} ({}), which sets none, \
         were not cut so soon: there is none now",
        unlimited.name, unlimited.place
    );
    for other in services.iter().filter_map(|one| one.idle_timeout.as_ref()) {
        notes.overruled(&other.place, "idle_timeout", reason.clone());
    }
    // No time is written so: lines that say what one of these says are not taken either.
    notes.settled("idle_timeout", "", &reason);
}

/// The longest time that any service says; shorter ones are noted.
fn longest(
    services: &[Service],
    field: &str,
    pick: impl Fn(&Service) -> Option<At<Duration>>,
    notes: &mut Notes,
) -> Option<Duration> {
    let given: Vec<At<Duration>> = services.iter().filter_map(pick).collect();
    let longest = given.iter().max_by_key(|one| one.value)?;
    let reason = format!(
        "there is one {field:?} for all listeners, and the longest is taken, of {}",
        longest.place
    );
    for other in given.iter().filter(|one| one.value != longest.value) {
        notes.overruled(&other.place, field, reason.clone());
    }
    // Another line may have said the same as one that was overruled.
    notes.settled(field, &time(longest.value), &reason);
    Some(longest.value)
}

//! One configuration from what was found: replicas from servers, listeners from
//! services, and one health check.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::checks;
use super::error::ImportError;
use super::found::{At, Found, Policy, Service};
use super::note::Notes;
use super::options::ImportOptions;
use super::output::{Admin, File, Listener, Passive};
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
    choose(&mut found.services, file, options)?;
    let composed = replicas::replicas(&found.services, file, notes)?;
    let (health, checks) = checks::checks(&found.services, &composed.ports, options, notes);
    let mut listeners = Vec::new();
    for ((service, port), check) in found.services.iter().zip(&composed.ports).zip(checks) {
        for bind in &service.binds {
            let address = bind.value;
            if address.port() != *port {
                notes.advice(
                    &bind.place,
                    format!(
                        "clients connect to port {}, and the servers of {} are reached on port {port}: \
                         make sure that the two are not swapped",
                        address.port(),
                        service.name
                    ),
                );
            }
            listeners.push(Listener {
                bind: address.to_string(),
                port: (address.port() != *port).then_some(*port),
                max_connections: service.max_connections.as_ref().map(written::connections),
                health: check.clone(),
            });
        }
    }
    let fqdn = fqdn(&found, &composed.replicas, file, options, notes)?;
    let services = &found.services;
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
        idle_timeout: longest("idle_timeout", |one| one.idle_timeout.clone(), notes),
        half_close_timeout: longest(
            "half_close_timeout",
            |one| one.half_close_timeout.clone(),
            notes,
        ),
        max_connections: found.max_connections.as_ref().map(written::connections),
    })
}

/// Keeps the services that were asked for.
fn choose(
    services: &mut Vec<Service>,
    file: &str,
    options: &ImportOptions,
) -> Result<(), ImportError> {
    let known = written::list(services.iter().map(Service::title));
    if !options.only.is_empty() {
        for wanted in &options.only {
            if !services.iter().any(|service| service.is_called(wanted)) {
                let problem = format!("nothing here is called {wanted:?} (--only); known: {known}");
                return Err(ImportError::of_file(file, problem));
            }
        }
        services.retain(|service| options.only.iter().any(|wanted| service.is_called(wanted)));
    }
    // An upstream or a backend that nothing leads to serves nobody.
    services.retain(|service| !service.binds.is_empty());
    if services.is_empty() {
        let problem = "nothing here passes TCP through to servers, so there is nothing to balance; \
                       what ends TLS or speaks HTTP can't be taken over";
        return Err(ImportError::of_file(file, problem));
    }
    match services
        .iter_mut()
        .find_map(|service| service.refused.take())
    {
        Some(refused) => Err(refused),
        None => apart(services, file),
    }
}

/// That no two services are reached on one address, as those are that are told apart
/// by the name that clients ask for.
fn apart(services: &[Service], file: &str) -> Result<(), ImportError> {
    let mut known: BTreeMap<SocketAddr, &Service> = BTreeMap::new();
    for service in services {
        for bind in &service.binds {
            if let Some(other) = known.insert(bind.value, service) {
                let problem = format!(
                    "{} and {} are reached on {} alike, and which is meant is told by the name that \
                     clients ask for, or not at all; import one of them, with --only",
                    other.name, service.name, bind.value
                );
                return Err(ImportError::of_file(file, problem));
            }
        }
    }
    Ok(())
}

/// The name clients use.
fn fqdn(
    found: &Found,
    replicas: &[super::output::Replica],
    file: &str,
    options: &ImportOptions,
    notes: &mut Notes,
) -> Result<String, ImportError> {
    if let Some(fqdn) = &options.fqdn {
        return Ok(fqdn.clone());
    }
    let own = || found.services.iter().find_map(|one| one.fqdn.as_ref());
    if let Some(fqdn) = found.fqdn.as_ref().or_else(own) {
        notes.taken(
            &fqdn.place,
            format!("the registry is called {}", fqdn.value),
        );
        return Ok(fqdn.value.clone());
    }
    let named = replicas.iter().map(|replica| &replica.address);
    let Some(first) = named.into_iter().find(|address| !address.contains(':')) else {
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
                "the page on {} was open to whoever reaches it; \"admin\" is on loopback: in a \
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
    let mut said = services.iter().filter_map(|service| pick(service));
    let first = said.next()?;
    for other in said.filter(|other| other.value != first.value) {
        let text = format!(
            "there is one {field:?} for all listeners, and that of {} is taken",
            first.place
        );
        notes.overruled(&other.place, field, text);
    }
    Some(first.value)
}

/// The longest time that any service says; shorter ones are noted.
fn longest(
    services: &[Service],
    field: &str,
    pick: impl Fn(&Service) -> Option<At<Duration>>,
    notes: &mut Notes,
) -> Option<Duration> {
    let said: Vec<At<Duration>> = services.iter().filter_map(pick).collect();
    let longest = said.iter().max_by_key(|one| one.value)?;
    for other in said.iter().filter(|one| one.value != longest.value) {
        let text = format!(
            "there is one {field:?} for all listeners, and the longest is taken, of {}",
            longest.place
        );
        notes.overruled(&other.place, field, text);
    }
    Some(longest.value)
}

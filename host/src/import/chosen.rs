//! Which services of the old file are imported.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use dtr_lb_filter::contract::ServerNames;

use super::error::ImportError;
use super::found::{At, Service};
use super::note::{Notes, Place};
use super::options::ImportOptions;
use super::written;

/// Keeps the services that were asked for.
///
/// # Errors
/// One that was asked for is not there, none is left, one can't be had, or two are at
/// one address.
pub(super) fn choose(
    services: &mut Vec<Service>,
    file: &str,
    options: &ImportOptions,
    notes: &mut Notes,
) -> Result<(), ImportError> {
    let known = written::list(services.iter().map(Service::title));
    for wanted in &options.only {
        if !services.iter().any(|service| service.is_called(wanted)) {
            let problem = format!("nothing here is called {wanted:?} (--only); known: {known}");
            return Err(ImportError::of_file(file, problem));
        }
    }
    // An upstream or a backend that nothing leads to serves nobody.
    let (kept, left): (Vec<Service>, Vec<Service>) = (services.drain(..))
        .filter(|service| !service.binds.is_empty())
        .partition(|service| service.is_wanted(&options.only));
    if let Some(fqdn) = &options.fqdn {
        refuse_name_of_other(fqdn, (&kept, &left), file)?;
    }
    note_left(&kept, &left, notes);
    *services = kept;
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
        None => refuse_shared_binds(services, file),
    }
}

/// The name that is given to what is imported leads to something else.
fn refuse_name_of_other(
    fqdn: &str,
    (kept, left): (&[Service], &[Service]),
    file: &str,
) -> Result<(), ImportError> {
    // A name that both have is that of what is kept.
    let left = left.iter().map(|one| (one, Some(one)));
    let all = left.chain(kept.iter().map(|one| (one, None)));
    let names = all.flat_map(|(one, other)| {
        let names = one.names.iter();
        names.map(move |name| (name.as_str(), other))
    });
    let names = ServerNames::new(names);
    let Some(Some(other)) = names.find(fqdn) else {
        return Ok(());
    };
    let title = other.title();
    let problem = format!(
        "clients that ask for {fqdn} (--fqdn) are led to {title}, which --only leaves out; choose \
         that, or give a name of what is imported"
    );
    Err(ImportError::of_file(file, problem))
}

/// What belongs to services that are left out, and to no other, is not taken.
fn note_left(kept: &[Service], left: &[Service], notes: &mut Notes) {
    let kept: BTreeSet<Place> = kept.iter().flat_map(places).collect();
    for service in left {
        let own: BTreeSet<Place> = places(service).filter(|one| !kept.contains(one)).collect();
        let reason = format!("part of {}, which --only leaves out", service.title());
        notes.leave_out(&own, &reason);
    }
}

/// Where its parts stand.
fn places(service: &Service) -> impl Iterator<Item = Place> {
    fn of<T>(part: &Option<At<T>>) -> Option<&Place> {
        part.as_ref().map(|part| &part.place)
    }
    let parts = [
        of(&service.fqdn),
        of(&service.max_connections),
        of(&service.policy),
        of(&service.check),
        of(&service.passive),
        of(&service.connect_timeout),
        of(&service.idle_timeout),
        of(&service.half_close_timeout),
        of(&service.slow_start),
        service.closes_on_down.as_ref(),
        Some(&service.place),
    ];
    let binds = service.binds.iter().map(|bind| &bind.place);
    let servers = service.servers.iter().map(|server| &server.place);
    let parts = parts.into_iter().flatten().chain(&service.parts);
    let places: Vec<Place> = parts.chain(binds).chain(servers).cloned().collect();
    places.into_iter()
}

/// Two services at one address: the old balancer chose by the name that the client
/// asks for, and one registry is imported at a time.
fn refuse_shared_binds(services: &[Service], file: &str) -> Result<(), ImportError> {
    let mut taken: BTreeMap<SocketAddr, &Service> = BTreeMap::new();
    for service in services {
        for bind in &service.binds {
            let Some(other) = taken.insert(bind.value, service) else {
                continue;
            };
            if other.place == service.place && other.name == service.name {
                let problem = format!("{} is listened on twice; take one out", bind.value);
                return Err(ImportError::of_file(service.place.to_string(), problem));
            }
            let mut names: Vec<String> = services.iter().map(|one| one.name.clone()).collect();
            names.dedup();
            let names = written::list(names.into_iter());
            let problem = format!(
                "{} ({}) and {} ({}) both listen on {}, and one registry is imported at a time: \
                 choose with --only, one of {names}, and join what comes of them in \"services\"",
                other.name, other.place, service.name, service.place, bind.value
            );
            return Err(ImportError::of_file(file, problem));
        }
    }
    Ok(())
}

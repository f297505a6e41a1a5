//! What the registry's guide asks of a balancer, against what was found.

use std::time::Duration;

use super::found::{At, Service};
use super::note::Notes;
use super::options::ImportOptions;
use super::written::time;

/// The registry's guide wants no idle timeout, or one of more than 10 minutes.
pub(super) fn advise_idle_timeout(services: &[Service], notes: &mut Notes) {
    let given: Vec<&At<Duration>> = (services.iter())
        .filter_map(|service| service.idle_timeout.as_ref())
        .collect();
    let longest = given.iter().max_by_key(|one| one.value);
    let Some(longest) = longest.filter(|longest| longest.value <= SHORT_IDLE_TIMEOUT) else {
        return;
    };
    notes.advice(
        &longest.place,
        format!(
            "an idle timeout of {} ends slow pushes and pulls: the registry's guide wants none, or \
             more than 10 minutes; take \"idle_timeout\" out",
            time(longest.value)
        ),
    );
}

/// The registry's guide wants both of its ports.
pub(super) fn advise_ports(services: &[Service], options: &ImportOptions, notes: &mut Notes) {
    if !options.only.is_empty() {
        return;
    }
    let bound = |port: u16| {
        let listens = |service: &&Service| {
            let mut binds = service.binds.iter();
            binds.any(|bind| bind.value.port() == port)
        };
        services.iter().find(listens)
    };
    let missing = match (bound(80), bound(443)) {
        (None, Some(other)) => Some((80, other)),
        (Some(other), None) => Some((443, other)),
        (None, None) | (Some(_), Some(_)) => None,
    };
    if let Some((port, other)) = missing {
        let text = format!(
            "port {port} is missing: the registry's guide wants both 80 and 443; add a listener \
             {{\"bind\": \"0.0.0.0:{port}\"}}"
        );
        notes.advice(&other.place, text);
    }
}

/// What the registry's guide calls too short.
const SHORT_IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

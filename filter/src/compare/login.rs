//! Where clients are sent to log in, and by redirects of plain HTTP: to the name they
//! use, over TLS, and everywhere alike.

use super::alike;
use super::challenge::{Challenge, Origin};
use super::disagreement::{Disagreement, Fault, Subject};
use super::observation::{Observation, Observed};

pub(super) fn compare(fqdn: &str, replicas: &[Observed<'_>]) -> Vec<Disagreement> {
    let any = replicas.iter().any(|(_, it)| it.challenge.is_some());
    let challenge = |observation: &Observation| {
        // Of a replica that was not asked nothing is known, not even a date; one in
        // trouble does not get as far as to ask for a login.
        let is_asked = observation.clock_offset_ms.is_some() && !observation.is_in_trouble();
        let none = (any && is_asked).then(|| "nowhere".to_owned());
        observation.challenge.clone().or(none)
    };
    let mut found = alike::compare(
        replicas,
        (Subject::Login, Fault::Unlike),
        &challenge,
        &|value, others| match others {
            Some(others) => format!(
                "sends clients to log in to {value}, the others to {others}; give all the same \
                 settings of the token server"
            ),
            None => format!(
                "sends clients to log in to {value}; give all the same settings of the token server"
            ),
        },
    );
    found.extend(grouped(replicas, Subject::Login, &|observation| {
        let challenge = Challenge::read(observation.challenge.as_deref()?);
        let realm = challenge.realm.and_then(|realm| wrong_origin(realm, fqdn));
        let service = challenge
            .service
            .and_then(|service| wrong_service(service, fqdn));
        realm.or(service)
    }));
    found
}

/// Redirects that leave the registry's name or TLS.
pub(super) fn compare_redirects(fqdn: &str, replicas: &[Observed<'_>]) -> Vec<Disagreement> {
    grouped(replicas, Subject::Redirect, &|observation| {
        let url = observation.redirect.as_deref()?;
        let origin = Origin::of(url)?;
        if origin.host.eq_ignore_ascii_case(fqdn) {
            return None;
        }
        Some(format!(
            "port 80 leads clients to {}, and not to {fqdn}: they leave the balancer; set the \
             registry's external name",
            origin.host
        ))
    })
}

/// One disagreement for all replicas of which the same is said.
fn grouped(
    replicas: &[Observed<'_>],
    subject: Subject,
    problem: &dyn Fn(&Observation) -> Option<String>,
) -> Vec<Disagreement> {
    let found = alike::by_text(replicas, problem).into_iter();
    found
        .map(|(text, replicas)| Disagreement {
            subject,
            fault: Fault::Misnamed,
            replicas,
            text,
        })
        .collect()
}

fn wrong_origin(realm: &str, fqdn: &str) -> Option<String> {
    let origin = Origin::of(realm)?;
    let host = origin.host;
    if !host.eq_ignore_ascii_case(fqdn) {
        return Some(format!(
            "clients get their tokens from {host} (realm {realm}), and not from {fqdn}; right only \
             if that is a token server of its own"
        ));
    }
    if origin.scheme.eq_ignore_ascii_case("http") {
        return Some(format!(
            "clients get their tokens over plain HTTP (realm {realm}), with their passwords; have \
             the registry know that it is reached over https"
        ));
    }
    let port = origin.port.filter(|port| *port != "443")?;
    Some(format!(
        "clients get their tokens from port {port} (realm {realm}); right only if that is a port \
         that clients reach"
    ))
}

/// A service may be any word; one that is a host is meant to be the registry's.
fn wrong_service(service: &str, fqdn: &str) -> Option<String> {
    let host = service.split(':').next().unwrap_or(service);
    let is_host = host.contains('.') && !host.contains([' ', '/']);
    if !is_host || host.eq_ignore_ascii_case(fqdn) {
        return None;
    }
    Some(format!(
        "tokens are for the service {service}, and not for {fqdn}; set the registry's external name"
    ))
}

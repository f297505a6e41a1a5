//! All that is compared.

use super::disagreement::{Disagreement, Fault, Subject};
use super::observation::{Observation, Observed};
use super::{alike, certificates, clock, login};

/// What a registry's replicas disagree about, among each other and with the name
/// that clients use. `unix_ms` is our own time.
pub fn compare(fqdn: &str, replicas: &[Observed<'_>], unix_ms: u64) -> Vec<Disagreement> {
    let mut found = clock::compare(replicas);
    found.extend(certificates::compare(fqdn, replicas, unix_ms));
    found.extend(login::compare(fqdn, replicas));
    let version = |what| {
        move |value: &str, others: Option<&str>| match others {
            Some(others) => format!(
                "answers with {what} {value}, the others with {others}; bring all to one version"
            ),
            None => format!("answers with {what} {value}; bring all replicas to one version"),
        }
    };
    let server = |observation: &Observation| observation.server.clone();
    found.extend(alike::compare(
        replicas,
        (Subject::Version, Fault::Unlike),
        &server,
        &version("Server:"),
    ));
    let api = |observation: &Observation| observation.api_version.clone();
    let header = "Docker-Distribution-Api-Version:";
    found.extend(alike::compare(
        replicas,
        (Subject::Version, Fault::UnlikeApi),
        &api,
        &version(header),
    ));
    let redirect = |observation: &Observation| observation.redirect.clone();
    found.extend(alike::compare(
        replicas,
        (Subject::Redirect, Fault::Unlike),
        &redirect,
        &|value, others| match others {
            Some(others) => format!("port 80 leads to {value}, the others' to {others}"),
            None => format!("port 80 leads to {value}"),
        },
    ));
    found.extend(login::compare_redirects(fqdn, replicas));
    found
}

#[cfg(test)]
mod tests;

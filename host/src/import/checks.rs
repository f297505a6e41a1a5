//! The health check: one for all listeners, and another one where a listener's
//! differs.

use std::collections::BTreeMap;

use super::found::{self, At, CheckKind, Service, Verify};
use super::note::Notes;
use super::options::ImportOptions;
use super::output::{Check, Health};
use super::rhythm::rhythm;
use super::written;

/// The general check with its rhythm, and each service's own where it differs.
/// `ports` are the services' ports.
pub(super) fn checks(
    services: &[Service],
    ports: &[u16],
    options: &ImportOptions,
    notes: &mut Notes,
) -> (Health, Vec<Option<Check>>) {
    let checks: Vec<Option<Check>> = (services.iter().zip(ports))
        .map(|(service, port)| {
            let check = service.check.as_ref()?;
            Some(configured(&check.value, *port, options))
        })
        .collect();
    // That of HTTPS says most: the other may be answered with a redirect to it.
    let known = || services.iter().zip(&checks);
    let known = || known().filter_map(|(one, check)| Some((one.check.as_ref()?, check.as_ref()?)));
    let mut https = known().filter(|(_, check)| check.target.starts_with("https:"));
    let (asked, general) = match https.next().or_else(|| known().next()) {
        Some((asked, general)) => (Some(asked), general.clone()),
        None => (None, guessed(services, ports, options, notes)),
    };
    note_unverified(services, &general, options, notes);
    note_ca_files(services, options, notes);
    note_redirects(services, notes);
    // Of one port there is one check, and the first service's is taken.
    let mut own: BTreeMap<u16, Option<Check>> = BTreeMap::new();
    for ((service, port), check) in services.iter().zip(ports).zip(checks) {
        let check = check.filter(|check| *check != general);
        let first = own.entry(*port).or_insert_with(|| check.clone());
        if *first != check {
            let text = format!(
                "another service leads to port {port} too, and its check is taken for both"
            );
            notes.not_taken(&service.place, text);
        }
    }
    let own = ports.iter().map(|port| own.get(port).cloned().flatten());
    (rhythm(services, asked, general, notes), own.collect())
}

/// A check as the configuration has it.
fn configured(check: &found::Check, port: u16, options: &ImportOptions) -> Check {
    let port = check.port.unwrap_or(port);
    match &check.kind {
        CheckKind::Tcp => Check {
            target: format!("tcp:{port}"),
            ..Check::default()
        },
        CheckKind::Http {
            tls,
            path,
            statuses,
            headers,
        } => Check {
            target: match tls {
                Some(_) => format!("https:{port}{path}"),
                None => format!("http:{port}{path}"),
            },
            statuses: statuses.iter().map(written::range).collect(),
            headers: headers.iter().cloned().collect(),
            verify: tls.as_ref().map(|verify| match (&options.verify, verify) {
                (Some(verify), _) => verify.clone(),
                (None, Verify::System) => "system".to_owned(),
                (None, Verify::CaFile(file)) => file.clone(),
                (None, Verify::None) => "none".to_owned(),
            }),
        },
    }
}

/// What is asked when the old balancer asked nothing: `/_ping`, which the registry's
/// guide wants, where the port says how.
fn guessed(
    services: &[Service],
    ports: &[u16],
    options: &ImportOptions,
    notes: &mut Notes,
) -> Check {
    let verify = || options.verify.clone().unwrap_or_else(|| "none".to_owned());
    let (target, verify) = match ports {
        _ if ports.contains(&443) => ("https:443/_ping".to_owned(), Some(verify())),
        _ if ports.contains(&80) => ("http:80/_ping".to_owned(), None),
        _ => (
            format!("tcp:{}", ports.first().copied().unwrap_or(443)),
            None,
        ),
    };
    if let Some(service) = services.first() {
        let text = match target.starts_with("tcp:") {
            true => format!(
                "nothing here asks the servers how they are; {target} only connects: set \
                 \"health\": {{\"target\": ...}}, such as https:5000/v2/"
            ),
            false => {
                format!("nothing here asks the servers how they are; each is asked {target} now")
            }
        };
        notes.advice(&service.place, text);
    }
    Check {
        target,
        verify,
        ..Check::default()
    }
}

/// A check that believes any certificate is the operator's to decide.
fn note_unverified(
    services: &[Service],
    general: &Check,
    options: &ImportOptions,
    notes: &mut Notes,
) {
    if options.verify.is_some() {
        return;
    }
    let unverified = |check: &&At<found::Check>| {
        let tls = match &check.value.kind {
            CheckKind::Http { tls, .. } => tls.as_ref(),
            CheckKind::Tcp => None,
        };
        tls == Some(&Verify::None)
    };
    let mut checks = services.iter().filter_map(|one| one.check.as_ref());
    let place = match checks.find(unverified) {
        Some(check) => Some(&check.place),
        // It was guessed.
        None if general.verify.as_deref() == Some("none") => services.first().map(|one| &one.place),
        None => None,
    };
    if let Some(place) = place {
        notes.advice(
            place,
            "probes believe any certificate (\"verify\": \"none\"): import again with --verify and \
             the file of the authority that signed the replicas', or --verify system",
        );
    }
}

/// A file of authorities must be there where dtr-lb runs, too.
fn note_ca_files(services: &[Service], options: &ImportOptions, notes: &mut Notes) {
    if options.verify.is_some() {
        return;
    }
    for check in services.iter().filter_map(|service| service.check.as_ref()) {
        if let CheckKind::Http {
            tls: Some(Verify::CaFile(file)),
            ..
        } = &check.value.kind
        {
            let text = format!(
                "probes verify with {file}, which must be there where dtr-lb runs; to name another \
                 file, import again with --verify"
            );
            notes.advice(&check.place, text);
        }
    }
}

/// A check that takes a redirect for an answer learns nothing from it.
fn note_redirects(services: &[Service], notes: &mut Notes) {
    for check in services.iter().filter_map(|service| service.check.as_ref()) {
        let CheckKind::Http { statuses, .. } = &check.value.kind else {
            continue;
        };
        let redirect = statuses
            .iter()
            .any(|(first, last)| *first <= 301 && *last >= 301);
        if redirect {
            notes.advice(
                &check.place,
                "a redirect counts as healthy here, as it did: where port 80 only redirects, ask \
                 https:443/_ping for it too, and take \"statuses\" out",
            );
        }
    }
}

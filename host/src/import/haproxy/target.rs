//! Where the connections of a frontend go.

use super::ledger::Ledger;
use super::line::Line;
use super::proxy::{Proxies, Proxy};
use super::rule::{self, Condition};
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::found::At;

/// A backend, and why connections go there.
pub(super) struct Target<'a> {
    /// Its place in the proxies.
    pub(super) backend: usize,
    pub(super) line: &'a Line,
    /// Where its condition has a name.
    acl: Option<&'a Line>,
    /// The first whole name that clients ask for, where that decides.
    pub(super) fqdn: Option<At<String>>,
    /// All such names; `*.` stands before the end of names.
    pub(super) names: Vec<String>,
    /// Where all that is left is led there as well.
    default: Option<&'a Line>,
}

impl Target<'_> {
    /// Says that connections go there, to a section of this name.
    pub(super) fn note(&self, backend: &str, ledger: &mut Ledger) {
        let key = self.line.text(0);
        match &self.fqdn {
            Some(fqdn) => {
                let old = format!("{key} {backend}");
                ledger.taken_as(self.line, "fqdn", &old, &fqdn.value);
            }
            None if ["use_backend", "default_backend"].contains(&key) => {
                let text = format!("{key} {backend}: its servers are the replicas");
                ledger.taken(self.line, text);
            }
            // A section with servers of its own.
            None => {}
        }
        if let Some(line) = self.default {
            let text = format!("default_backend {backend}: its servers are the replicas");
            ledger.taken(line, text);
        }
        if let Some(acl) = self.acl {
            ledger.taken(acl, "acl: the registry's name, of use_backend");
        }
    }
}

/// The backends of the frontend at a place, each once.
///
/// # Errors
/// A rule leads to none.
pub(super) fn targets<'p>(
    source: &Source<'_>,
    proxies: &'p Proxies<'_>,
    index: usize,
    ledger: &mut Ledger,
) -> Result<Vec<Target<'p>>, ImportError> {
    let mut targets: Vec<Target<'_>> = Vec::new();
    let Some(front) = proxies.all.get(index) else {
        return Ok(targets);
    };
    for rule in rule::rules(source, front.section)? {
        let (names, acl) = match rule.condition {
            Condition::Other => continue,
            Condition::Always => (Vec::new(), None),
            Condition::Named { names, acl } => (names, acl),
        };
        let backend = find(source, proxies, rule.line, rule.backend)?;
        let line = rule.line;
        let is_last = names.is_empty();
        match targets.iter_mut().find(|one| one.backend == backend) {
            Some(known) => {
                let why = match (&known.fqdn, names.iter().find(|name| is_wildcard(name))) {
                    (_, Some(name)) => format!(
                        "where several registries share an address, {name} is one of the \
                         \"names\" of \"services\""
                    ),
                    (Some(_), None) => "\"fqdn\" is that of the rule above".to_owned(),
                    (None, None) => "which of them is \"fqdn\" says --fqdn".to_owned(),
                };
                let text = format!("use_backend: clients may ask for any name; {why}");
                ledger.not_taken(line, text);
                known.names.extend(names);
            }
            None => {
                let fqdn = names.iter().find(|name| !is_wildcard(name)).cloned();
                for name in names.iter().filter(|name| Some(*name) != fqdn.as_ref()) {
                    let why = match is_wildcard(name) {
                        true => ONE_OF_NAMES,
                        false => "clients may ask for any name; \"fqdn\" is the first",
                    };
                    ledger.left(line, name, why);
                }
                targets.push(Target {
                    backend,
                    line,
                    acl,
                    fqdn: fqdn.map(|value| At {
                        value,
                        place: line.place.clone(),
                    }),
                    names,
                    default: None,
                });
            }
        }
        if is_last {
            return Ok(targets);
        }
    }
    let default = match front.settings.line("default_backend") {
        Some(line) => Some((find(source, proxies, line, line.text(1))?, &**line)),
        None => (front.section.kind.serves() && has_servers(front))
            .then_some((index, &*front.section.head)),
    };
    let Some((backend, line)) = default else {
        return Ok(targets);
    };
    match targets.iter_mut().find(|one| one.backend == backend) {
        Some(known) => known.default = Some(line).filter(|line| line.text(0) == "default_backend"),
        None => targets.push(Target {
            backend,
            line,
            acl: None,
            fqdn: None,
            names: Vec::new(),
            default: None,
        }),
    }
    Ok(targets)
}

/// That the backend is there which a frontend wants.
///
/// # Errors
/// It is not.
pub(super) fn exists(
    source: &Source<'_>,
    proxies: &Proxies<'_>,
    front: &Proxy<'_>,
) -> Result<(), ImportError> {
    let Some(line) = front.settings.line("default_backend") else {
        return Ok(());
    };
    let name = source.value(line, 1, "the name of a backend")?;
    find(source, proxies, line, name).map(drop)
}

fn is_wildcard(name: &str) -> bool {
    name.starts_with('*')
}

fn find(
    source: &Source<'_>,
    proxies: &Proxies<'_>,
    line: &Line,
    name: &str,
) -> Result<usize, ImportError> {
    proxies.backend(name).ok_or_else(|| {
        let problem = format!("there is no backend {name:?}");
        source.wrong(line, 1, problem)
    })
}

fn has_servers(proxy: &Proxy<'_>) -> bool {
    let mut lines = proxy.section.lines.iter();
    lines.any(|line| ["server", "server-template"].contains(&line.text(0)))
}

/// Of the end of a name.
const ONE_OF_NAMES: &str = "where several registries share an address, it is one of the \"names\" of \
                            \"services\"; clients may ask for any name here";

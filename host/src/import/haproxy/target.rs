//! Where the connections of a frontend go.

use std::collections::BTreeSet;

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
    /// The name that clients ask for, where that decides.
    pub(super) fqdn: Option<At<String>>,
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
    let mut targets = Vec::new();
    let Some(front) = proxies.all.get(index) else {
        return Ok(targets);
    };
    let mut seen = BTreeSet::new();
    for rule in rule::rules(source, front.section)? {
        let (names, acl) = match &rule.condition {
            Condition::Other => continue,
            Condition::Always => (&[][..], None),
            Condition::Named { names, acl } => (names.as_slice(), *acl),
        };
        let backend = find(source, proxies, rule.line, rule.backend)?;
        let is_new = seen.insert(backend);
        if is_new {
            let line = rule.line;
            for name in names.iter().skip(1) {
                ledger.left(
                    line,
                    name,
                    "clients may ask for any name; \"fqdn\" is the first",
                );
            }
            let fqdn = names.first().map(|name| At {
                value: (*name).to_owned(),
                place: line.place.clone(),
            });
            targets.push(Target {
                backend,
                line,
                acl,
                fqdn,
            });
        } else {
            let text =
                "use_backend: clients may ask for any name; \"fqdn\" is that of the rule above";
            ledger.not_taken(rule.line, text);
        }
        if names.is_empty() {
            return Ok(targets);
        }
    }
    let default = match front.settings.line("default_backend") {
        Some(line) => Some((find(source, proxies, line, line.text(1))?, &**line)),
        None => (front.section.kind.serves() && has_servers(front))
            .then_some((index, &*front.section.head)),
    };
    if let Some((backend, line)) = default.filter(|(backend, _)| !seen.contains(backend)) {
        let (acl, fqdn) = (None, None);
        targets.push(Target {
            backend,
            line,
            acl,
            fqdn,
        });
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

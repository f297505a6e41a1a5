//! Reads a haproxy.cfg, of HAProxy 1.5 to 3.x.

mod bind;
mod check;
mod expect;
mod global;
mod inert;
mod keyword;
mod ledger;
mod lexer;
mod line;
mod page;
mod params;
mod policy;
mod proxy;
mod request;
mod rest;
mod rule;
mod section;
mod server;
mod server_keywords;
mod services;
mod settings;
mod source;
mod target;
mod timeouts;
mod value;

#[cfg(test)]
mod tests;

use super::error::ImportError;
use super::found::Found;
use super::note::Notes;
use super::sources::Sources;
use global::Global;
use ledger::Ledger;
use proxy::Proxies;
use services::Services;
use source::Source;

/// What the file says; each of its lines is noted. It includes no others: HAProxy is
/// given several on its command line.
///
/// # Errors
/// HAProxy would refuse it, or a line that has a part in balancing can't be had.
pub(super) fn read(
    name: &str,
    text: &str,
    _: &mut dyn Sources,
    notes: &mut Notes,
) -> Result<Found, ImportError> {
    let source = Source { name, text };
    let sections = section::sections(&source, lexer::lines(&source)?)?;
    let mut ledger = Ledger::default();
    let global = Global::read(&source, &sections, &mut ledger)?;
    let proxies = Proxies::read(&source, &sections)?;
    let found = Services::found(&source, &proxies, &global, &mut ledger)?;
    rest::note(&sections, &mut ledger);
    ledger.write(notes);
    Ok(found)
}

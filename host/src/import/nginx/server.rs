//! A server of a stream: where clients connect, and where they are passed to.

use std::net::SocketAddr;

use super::directive::Directive;
use super::files::Files;
use super::listen::{self, Listen};
use super::map;
use super::names;
use super::settings::Settings;
use super::token::Word;
use crate::import::error::ImportError;
use crate::import::found::At;
use crate::import::note::{Notes, Place};

/// A server that passes TCP through.
pub(super) struct Server {
    pub(super) place: Place,
    pub(super) binds: Vec<At<SocketAddr>>,
    /// An upstream, an address, or a variable.
    pub(super) proxy_pass: Word,
    pub(super) settings: Settings,
    pub(super) fqdn: Option<At<String>>,
    /// All its lines.
    pub(super) parts: Vec<Place>,
}

/// Reads a `server` block of a stream. `None`: nothing of it can be taken over, as one
/// note says.
///
/// # Errors
/// A directive can't be read.
pub(super) fn read(
    block: Directive,
    stream: &Settings,
    files: &mut Files<'_>,
    notes: &mut Notes,
) -> Result<Option<Server>, ImportError> {
    let place = files.place_of(&block);
    let name = block.name.clone();
    let directives = files.expand(block.block.unwrap_or_default(), notes)?;
    let mut listens = Vec::new();
    for directive in directives.iter().filter(|one| one.is("listen")) {
        // What HTTP knows of a listener is not known here.
        if directives.iter().any(is_http) {
            break;
        }
        listens.push((directive, listen::read(directive, files)?));
    }
    if let Some(reason) = refusal(&directives, &listens, stream) {
        notes.not_taken(&place, format!("{}: {reason}", title(&directives)));
        return Ok(None);
    }
    let proxy_pass = directives.iter().find(|one| one.is("proxy_pass"));
    let proxy_pass = proxy_pass.and_then(|one| one.arguments.first()).cloned();
    let Some(proxy_pass) = proxy_pass.filter(|_| !listens.is_empty()) else {
        let problem = "this server does not listen, or passes nothing on; add \"listen\" and \
                       \"proxy_pass\"";
        return Err(files.error(&name, problem));
    };
    let mut server = Server {
        binds: binds(&listens, files, notes),
        proxy_pass,
        settings: Settings::default(),
        fqdn: None,
        parts: directives.iter().map(|one| files.place_of(one)).collect(),
        place,
    };
    for directive in &directives {
        server.directive(directive, files, notes)?;
    }
    server.settings.note_taken(notes);
    Ok(Some(server))
}

impl Server {
    fn directive(
        &mut self,
        directive: &Directive,
        files: &Files<'_>,
        notes: &mut Notes,
    ) -> Result<(), ImportError> {
        let place = files.place_of(directive);
        match directive.name.text.as_str() {
            "listen" => {}
            "proxy_pass" => {
                let text = format!("{}: these are the replicas", directive.shown());
                notes.taken(&place, text);
            }
            "server_name" => self.fqdn = server_name(directive, place, notes),
            _ => {
                if self.settings.take(directive, files, notes)?.is_none() {
                    note_other(directive, files, notes);
                }
            }
        }
        Ok(())
    }
}

/// Notes a directive that nothing is made of, of a server or of all.
pub(super) fn note_other(directive: &Directive, files: &Files<'_>, notes: &mut Notes) {
    let place = files.place_of(directive);
    let shown = directive.shown();
    let on = directive.argument(0) == Some("on");
    match (directive.name.text.as_str(), on) {
        ("proxy_ssl", false) => {
            notes.taken(&place, format!("{shown}: that is the behaviour here"));
        }
        ("proxy_half_close", true) => notes.taken(
            &place,
            format!("{shown}: a side that has finished still gets what the other sends"),
        ),
        ("proxy_half_close", false) => notes.not_taken(
            &place,
            format!("{shown}: a side that has finished always gets what the other sends"),
        ),
        ("proxy_next_upstream", true) => notes.taken(
            &place,
            format!(
                "{shown}: a connection goes on with the next replica when one can't be reached"
            ),
        ),
        ("proxy_next_upstream", false) => notes.not_taken(
            &place,
            format!("{shown}: a connection always goes on with the next replica"),
        ),
        (name, _) => {
            let reason = names::reason(name).unwrap_or("not known here");
            notes.not_taken(&place, format!("{shown}: {reason}"));
        }
    }
}

/// Why nothing of a server can be taken over.
fn refusal(
    directives: &[Directive],
    listens: &[(&Directive, Listen)],
    stream: &Settings,
) -> Option<String> {
    let given = |name: &str| directives.iter().find(|one| one.is(name));
    if directives.iter().any(is_http) {
        return Some("it speaks HTTP, and only TCP is passed through here".to_owned());
    }
    let reasons = listens.iter().map(|(_, listen)| match listen {
        Listen::Other(reason) => Some(reason),
        Listen::Tcp(_) => None,
    });
    if let Some(Some(reason)) = reasons.clone().next()
        && reasons.clone().all(|reason| reason.is_some())
    {
        return Some(reason.clone());
    }
    let encrypts = match given("proxy_ssl") {
        Some(own) => own.argument(0) == Some("on"),
        None => stream.proxy_ssl.is_some(),
    };
    if encrypts {
        let reason = "proxy_ssl on: it encrypts what clients send, so that the replicas get TLS \
                      inside TLS on 443; connections are passed through here as they are";
        return Some(reason.to_owned());
    }
    let answers = ["return", "pass", "js_access", "js_preread"];
    match (given("proxy_pass"), answers.into_iter().find_map(given)) {
        (None, Some(answer)) => Some(format!(
            "{}: it passes nothing on to servers",
            answer.shown()
        )),
        _ => None,
    }
}

/// The server's listeners, as a note names it.
fn title(directives: &[Directive]) -> String {
    let listens = directives.iter().filter(|one| one.is("listen"));
    let shown: Vec<String> = listens.take(4).map(Directive::shown).collect();
    match shown.is_empty() {
        true => "server".to_owned(),
        false => format!("the server with {}", shown.join(", ")),
    }
}

fn is_http(directive: &Directive) -> bool {
    ["location", "root", "fastcgi_pass", "index"].contains(&directive.name.text.as_str())
}

fn binds(
    listens: &[(&Directive, Listen)],
    files: &Files<'_>,
    notes: &mut Notes,
) -> Vec<At<SocketAddr>> {
    let mut binds: Vec<At<SocketAddr>> = Vec::new();
    for (directive, listen) in listens {
        let place = files.place_of(directive);
        let addresses = match listen {
            Listen::Tcp(addresses) => addresses,
            Listen::Other(reason) => {
                notes.not_taken(&place, format!("{}: {reason}", directive.shown()));
                continue;
            }
        };
        let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let text = format!(
            "{}: a listener on {}",
            directive.shown(),
            shown.join(" and ")
        );
        notes.taken(&place, text);
        listen::note_parameters(directive, files, notes);
        binds.extend(listen::binds(addresses, directive, files));
    }
    binds
}

/// The one host name of a `server_name`.
fn server_name(directive: &Directive, place: Place, notes: &mut Notes) -> Option<At<String>> {
    let names = directive.arguments.iter().map(|word| &word.text);
    let mut hosts = names.filter(|name| map::is_hostname(name));
    match (hosts.next(), hosts.next()) {
        (Some(name), None) => {
            notes.taken_as(&place, "fqdn", &directive.shown(), name);
            let value = name.clone();
            Some(At { value, place })
        }
        _ => {
            let text = format!(
                "{}: \"fqdn\" is one name, and clients are served whichever they ask for",
                directive.shown()
            );
            notes.not_taken(&place, text);
            None
        }
    }
}

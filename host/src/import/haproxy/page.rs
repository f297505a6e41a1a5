//! The page with the state of the servers.

use super::bind::{self, Binds};
use super::inert;
use super::ledger::Ledger;
use super::line::Line;
use super::proxy::{Proxies, Proxy};
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::found::Found;

/// The section that has the page which a frontend is for, when it is for nothing else.
pub(super) fn of<'p, 'a>(front: &'p Proxy<'a>, proxies: &'p Proxies<'a>) -> Option<&'p Proxy<'a>> {
    let leads = |proxy: &Proxy<'_>| {
        let mut lines = proxy.section.lines.iter();
        lines.any(|line| ["server", "server-template", "use_backend"].contains(&line.text(0)))
    };
    if leads(front) {
        return None;
    }
    let name = front
        .settings
        .line("default_backend")
        .map(|line| line.text(1));
    let back = match name {
        Some(name) => proxies.all.get(proxies.backend(name)?)?,
        None => front,
    };
    (back.settings.line("stats").is_some() && !leads(back)).then_some(back)
}

/// Makes the page the admin listener.
///
/// # Errors
/// Its address can't be read.
pub(super) fn set(
    source: &Source<'_>,
    (front, back): (&Proxy<'_>, &Proxy<'_>),
    found: &mut Found,
    ledger: &mut Ledger,
) -> Result<(), ImportError> {
    let binds: Binds<'_> = bind::binds(source, front.section, ledger)?;
    let head = &front.section.head;
    for (bind, line) in &binds.plain {
        if found.admin.is_none() {
            found.admin = Some(bind.clone());
            ledger.noted(line);
        } else {
            ledger.not_taken(line, ONE_PAGE);
        }
    }
    for (bind, line) in &binds.tls {
        if found.admin.is_none() {
            found.admin = Some(bind.clone()?);
            ledger.noted(line);
            ledger.advice(
                line,
                "the page spoke TLS, and \"admin\" speaks HTTP until it has a \"tls\" with \
                 \"certificate\" and \"key\"",
            );
        } else {
            ledger.not_taken(line, ONE_PAGE);
        }
    }
    if found.admin.is_none() {
        let text = format!(
            "{} {}: has no address where the page is reached",
            head.text(0),
            front.name()
        );
        ledger.not_taken(head, text);
        return Ok(());
    }
    ledger.taken(
        head,
        format!("{} {}: the page is \"admin\"", head.text(0), front.name()),
    );
    if let Some(line) = front.settings.line("default_backend") {
        ledger.taken(line, "default_backend: the page is \"admin\"");
    }
    for proxy in [front, back] {
        if let Some(mode) = proxy.settings.line("mode") {
            ledger.taken(mode, "mode http: \"admin\" speaks HTTP");
        }
        // It may stand among the defaults.
        let lines = proxy
            .section
            .lines
            .iter()
            .chain(proxy.settings.line("stats"));
        for line in lines {
            match (line.text(0), line.text(2)) {
                ("stats", _) if line.text(1) == "admin" => {
                    admin(line, access(line, [front, back]), ledger);
                }
                ("stats", _) => option(line, ledger),
                ("http-request", "prometheus-exporter") => ledger.taken(
                    line,
                    "http-request use-service prometheus-exporter: /metrics of \"admin\"",
                ),
                ("acl" | "http-request", _) => {
                    let text = format!("{}: {WHO_MAY}", inert::key(line));
                    ledger.not_taken(line, text);
                }
                _ => {}
            }
        }
    }
    let head = &back.section.head;
    ledger.taken(
        head,
        format!("{} {}: the page is \"admin\"", head.text(0), back.name()),
    );
    Ok(())
}

/// Which clients of a page could change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    All,
    Some,
}

/// Whom this line lets take servers out.
fn access(admin: &Line, proxies: [&Proxy<'_>; 2]) -> Access {
    let restricts = |line: &Line| match line.text(0) {
        "http-request" => ["deny", "auth", "reject", "tarpit"].contains(&line.text(1)),
        "tcp-request" => true,
        _ => line.text(0) == "stats" && ["auth", "http-request"].contains(&line.text(1)),
    };
    let is_restricted = |proxy: &Proxy<'_>| {
        // It may stand among the defaults.
        let mut lines = proxy
            .section
            .lines
            .iter()
            .chain(proxy.settings.line("stats"));
        lines.any(|line| restricts(line))
    };
    match (admin.text(2), admin.text(3)) {
        ("if", "TRUE") if !proxies.into_iter().any(is_restricted) => Access::All,
        _ => Access::Some,
    }
}

/// `stats admin`
fn admin(line: &Line, access: Access, ledger: &mut Ledger) {
    let text = "stats admin: \"admin\" can take replicas out, with its token";
    ledger.taken(line, text);
    let who = match access {
        Access::All => "every client that reached the page",
        Access::Some => "those whom the file let in",
    };
    let advice = format!(
        "{who} could take replicas out; now that needs the token: give it to operators only"
    );
    ledger.advice(line, advice);
}

/// What a line says of the page. Passwords are not repeated.
fn option(line: &Line, ledger: &mut Ledger) {
    let key = inert::key(line);
    let why = match line.text(1) {
        "enable" => {
            ledger.taken(line, "stats enable: the page is \"admin\"");
            return;
        }
        "uri" => "the page is at /, and /status is the same as JSON",
        "refresh" => "the page shows every 2 s what has changed",
        "auth" | "realm" | "http-request" => WHO_MAY,
        "hide-version" | "show-desc" | "show-legends" | "show-modules" | "show-node" | "scope" => {
            "what the page shows is not configured"
        }
        _ => "unknown here",
    };
    ledger.not_taken(line, format!("{key}: {why}"));
}

const WHO_MAY: &str = "changes take the token, and looking, too, with \"protect\": \"all\"";
const ONE_PAGE: &str = "bind: there is one \"admin\", on the first address of a page; where that spoke \
                        TLS, give \"admin\" a \"tls\" with \"certificate\" and \"key\"";

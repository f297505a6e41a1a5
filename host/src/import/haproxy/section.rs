//! The sections of a haproxy.cfg.

use std::rc::Rc;

use super::inert;
use super::line::Line;
use super::source::Source;
use crate::import::error::ImportError;

/// A section: its first line and what belongs to it.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) kind: SectionKind,
    pub(super) head: Rc<Line>,
    pub(super) lines: Vec<Rc<Line>>,
}

/// What a section is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SectionKind {
    Global,
    Defaults,
    Frontend,
    Backend,
    /// A frontend and a backend in one.
    Listen,
    /// Another, which a balancer of TCP has no use for; the text says why.
    WithoutPart(&'static str),
}

impl SectionKind {
    pub(super) fn is_proxy(self) -> bool {
        matches!(self, Self::Frontend | Self::Backend | Self::Listen)
    }

    /// Whether clients connect to it.
    pub(super) fn accepts(self) -> bool {
        matches!(self, Self::Frontend | Self::Listen)
    }

    /// Whether it has servers.
    pub(super) fn serves(self) -> bool {
        matches!(self, Self::Backend | Self::Listen)
    }

    fn of(word: &str) -> Option<Self> {
        let known = SECTIONS.iter().find(|(name, _)| *name == word);
        known.map(|(_, kind)| *kind)
    }
}

impl Section {
    /// The name in its first line; empty when there is none.
    pub(super) fn name(&self) -> &str {
        match self.head.text(1) {
            "from" if self.kind == SectionKind::Defaults => "",
            name => name,
        }
    }
}

/// The sections, in the file's order.
///
/// # Errors
/// A line stands outside a section, a section's word is misspelt or its name is
/// missing, or the file is a template whose lines depend on something.
pub(super) fn sections(
    source: &Source<'_>,
    lines: Vec<Rc<Line>>,
) -> Result<Vec<Section>, ImportError> {
    let mut sections: Vec<Section> = Vec::new();
    for line in lines {
        let word = line.text(0);
        refuse_template(source, &line)?;
        if let Some(kind) = SectionKind::of(word) {
            if kind.is_proxy() {
                source.name(&line, 1)?;
            }
            sections.push(Section {
                kind,
                head: line,
                lines: Vec::new(),
            });
            continue;
        }
        let has_own_words = sections
            .last()
            .is_some_and(|section| matches!(section.kind, SectionKind::WithoutPart(_)));
        if let Some(meant) = misspelt(word).filter(|_| !has_own_words) {
            let problem = format!("{word:?} is no section; did you mean {meant:?}?");
            return Err(source.wrong(&line, 0, problem));
        }
        let Some(section) = sections.last_mut() else {
            let problem = format!(
                "{word:?} stands outside a section; expected global, defaults, frontend, backend or \
                 listen before it"
            );
            return Err(source.wrong(&line, 0, problem));
        };
        section.lines.push(line);
    }
    Ok(sections)
}

/// Lines that decide which others hold: HAProxy's own, and those of templates.
fn refuse_template(source: &Source<'_>, line: &Line) -> Result<(), ImportError> {
    let word = line.text(0);
    let conditional = [".if", ".elif", ".else", ".endif"].contains(&word);
    if conditional || word.starts_with("{%") || word.starts_with("{{") || word.starts_with("<%") {
        let problem = format!(
            "{word:?} decides elsewhere which lines hold; leave in the file what holds, and import again"
        );
        return Err(source.wrong(line, 0, problem));
    }
    Ok(())
}

/// The section that an unknown word may have been meant to be.
fn misspelt(word: &str) -> Option<&'static str> {
    if inert::is_known(word) {
        return None;
    }
    let names = SECTIONS.iter().map(|(name, _)| *name);
    let mut near = names.filter(|name| name.len() > 5 && strsim::levenshtein(name, word) == 1);
    near.next()
}

const SECTIONS: [(&str, SectionKind); 20] = [
    ("global", SectionKind::Global),
    ("defaults", SectionKind::Defaults),
    ("frontend", SectionKind::Frontend),
    ("backend", SectionKind::Backend),
    ("listen", SectionKind::Listen),
    (
        "peers",
        SectionKind::WithoutPart("there are no stick tables to share"),
    ),
    (
        "resolvers",
        SectionKind::WithoutPart(
            "names are resolved by the system, every \"dns_refresh\"; for those with \"discover\", \
             \"nameservers\" says who is asked",
        ),
    ),
    (
        "userlist",
        SectionKind::WithoutPart("HTTP only: nobody logs in to a TCP service"),
    ),
    (
        "mailers",
        SectionKind::WithoutPart("no mail is sent; alert on /metrics or the log instead"),
    ),
    (
        "cache",
        SectionKind::WithoutPart("HTTP only: nothing is cached"),
    ),
    (
        "program",
        SectionKind::WithoutPart("other programs are left to the system"),
    ),
    (
        "ring",
        SectionKind::WithoutPart("the log goes to standard error"),
    ),
    (
        "log-forward",
        SectionKind::WithoutPart("logs of others are not forwarded"),
    ),
    (
        "log-profile",
        SectionKind::WithoutPart("the log goes to standard error"),
    ),
    (
        "http-errors",
        SectionKind::WithoutPart("HTTP only: clients are sent no pages"),
    ),
    (
        "fcgi-app",
        SectionKind::WithoutPart("HTTP only: there is no FastCGI"),
    ),
    (
        "crt-store",
        SectionKind::WithoutPart("TLS passes through; the replicas have the certificates"),
    ),
    (
        "acme",
        SectionKind::WithoutPart("TLS passes through; the replicas have the certificates"),
    ),
    (
        "traces",
        SectionKind::WithoutPart("DTR_LB_LOG says what is logged"),
    ),
    (
        "healthcheck",
        SectionKind::WithoutPart("a check is read where a backend says it"),
    ),
];

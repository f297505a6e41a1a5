//! Maps from the name that a client asks for to an upstream.

use super::directive::Directive;
use super::files::Files;
use super::token::Word;
use crate::import::error::ImportError;
use crate::import::note::Notes;

/// A `map` of a variable, by which upstreams are chosen.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) block: Directive,
    /// What is looked up, such as `$ssl_preread_server_name`.
    pub(super) key: String,
}

/// Where some of a map's names lead.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// An upstream, or an address.
    pub(super) value: Word,
    pub(super) entries: Vec<Directive>,
}

impl Target {
    /// The one host name among those that lead here.
    pub(super) fn hostname(&self) -> Option<&Directive> {
        let mut names = self
            .entries
            .iter()
            .filter(|one| is_hostname(&one.name.text));
        let first = names.next()?;
        names.next().is_none().then_some(first)
    }

    /// The names that lead here; `*.` stands before the end of names.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.entries.iter().map(|entry| entry.name.text.as_str());
        let names = names.flat_map(|name| match name.strip_prefix('.') {
            Some(parent) => vec![parent.to_owned(), format!("*.{parent}")],
            None => vec![name.to_owned()],
        });
        let is_known = |name: &String| is_hostname(name.strip_prefix("*.").unwrap_or(name));
        names.filter(is_known).collect()
    }
}

impl Map {
    /// Whether it goes by the name that clients ask for.
    pub(super) fn is_by_server_name(&self) -> bool {
        self.key.trim_matches(['$', '{', '}']) == "ssl_preread_server_name"
    }

    /// Where its names lead, in their order.
    pub(super) fn targets(
        &self,
        files: &mut Files<'_>,
        notes: &mut Notes,
    ) -> Result<Vec<Target>, ImportError> {
        let entries = self.block.block.clone().unwrap_or_default();
        let mut targets: Vec<Target> = Vec::new();
        for entry in files.expand(entries, notes)? {
            let Some(value) = entry.arguments.first() else {
                if SETTINGS.contains(&entry.name.text.as_str()) {
                    let place = files.place_of(&entry);
                    let text = format!("{}: names are read as they stand", entry.name.text);
                    notes.not_taken(&place, text);
                    continue;
                }
                let problem = format!("{:?} leads to nothing", entry.name.text);
                return Err(files.error(&entry.name, problem));
            };
            if targets.len() >= MOST_TARGETS {
                let problem = format!("more than {MOST_TARGETS} upstreams in one map");
                return Err(files.error(value, problem));
            }
            match targets.iter_mut().find(|one| one.value.text == value.text) {
                Some(target) => target.entries.push(entry),
                None => targets.push(Target {
                    value: value.clone(),
                    entries: vec![entry],
                }),
            }
        }
        Ok(targets)
    }
}

/// Whether it is one name, and neither a pattern nor a word of the map itself.
pub(super) fn is_hostname(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    text.contains('.') && !text.starts_with('.') && !text.ends_with('.') && text.bytes().all(plain)
}

const SETTINGS: [&str; 2] = ["hostnames", "volatile"];
const MOST_TARGETS: usize = 1000;

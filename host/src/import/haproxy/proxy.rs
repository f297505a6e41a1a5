//! Frontends, backends and listens, with what they have from their defaults.

use std::collections::BTreeMap;

use super::section::{Section, SectionKind};
use super::settings::Settings;
use super::source::Source;
use crate::import::error::ImportError;

/// A section that connections pass.
#[derive(Debug)]
pub(super) struct Proxy<'a> {
    pub(super) section: &'a Section,
    pub(super) settings: Settings,
    /// What `settings` was before the section's own lines.
    pub(super) inherited: Settings,
}

impl Proxy<'_> {
    pub(super) fn name(&self) -> &str {
        self.section.name()
    }
}

/// All of them, and which section of defaults each name means.
#[derive(Debug)]
pub(super) struct Proxies<'a> {
    pub(super) all: Vec<Proxy<'a>>,
    frontends: BTreeMap<&'a str, usize>,
    backends: BTreeMap<&'a str, usize>,
}

impl<'a> Proxies<'a> {
    /// # Errors
    /// Two have one name, or defaults that a section wants are not there.
    pub(super) fn read(source: &Source<'_>, sections: &'a [Section]) -> Result<Self, ImportError> {
        let mut proxies = Proxies {
            all: Vec::new(),
            frontends: BTreeMap::new(),
            backends: BTreeMap::new(),
        };
        let mut last = Settings::default();
        let mut named: BTreeMap<&str, Settings> = BTreeMap::new();
        for section in sections {
            let is_defaults = section.kind == SectionKind::Defaults;
            if !is_defaults && !section.kind.is_proxy() {
                continue;
            }
            let inherited = match from(source, section)? {
                Some((index, name)) => named.get(name).cloned().ok_or_else(|| {
                    let problem = format!("there are no defaults {name:?} above");
                    source.wrong(&section.head, index, problem)
                })?,
                None if is_defaults => Settings::default(),
                None => last.clone(),
            };
            let inherited = inherited.inherited_by(&section.head);
            let mut settings = inherited.clone();
            for line in &section.lines {
                settings.apply(line);
            }
            if is_defaults {
                named.insert(section.name(), settings.clone());
                last = settings;
            } else {
                proxies.add(source, section, inherited, settings)?;
            }
        }
        Ok(proxies)
    }

    /// The section of servers that a name means.
    pub(super) fn backend(&self, name: &str) -> Option<usize> {
        self.backends.get(name).copied()
    }

    /// Whether the section at a place is out of use.
    pub(super) fn is_disabled(&self, index: usize) -> bool {
        let proxy = self.all.get(index);
        proxy.is_some_and(|proxy| proxy.settings.is_disabled())
    }

    /// Whether another section accepts connections under the name of this one, which
    /// has only servers.
    pub(super) fn shares_its_name(&self, proxy: &Proxy<'_>) -> bool {
        proxy.section.kind == SectionKind::Backend && self.frontends.contains_key(proxy.name())
    }

    fn add(
        &mut self,
        source: &Source<'_>,
        section: &'a Section,
        inherited: Settings,
        settings: Settings,
    ) -> Result<(), ImportError> {
        let (name, kind) = (section.name(), section.kind);
        let index = self.all.len();
        let mut names = Vec::new();
        if kind.accepts() {
            names.push(&mut self.frontends);
        }
        if kind.serves() {
            names.push(&mut self.backends);
        }
        for names in names {
            if let Some(first) = names.insert(name, index) {
                let first = self.all.get(first).map(|first| &first.section.head.place);
                let line = first.map_or(0, |place| place.line);
                let problem = format!("{name:?} is the name of the section in line {line} as well");
                return Err(source.wrong(&section.head, 1, problem));
            }
        }
        self.all.push(Proxy {
            section,
            settings,
            inherited,
        });
        Ok(())
    }
}

/// The name behind `from`, and which word it is.
fn from<'s>(
    source: &Source<'_>,
    section: &'s Section,
) -> Result<Option<(usize, &'s str)>, ImportError> {
    let head = &section.head;
    let mut words = head.words.iter();
    let Some(from) = words.position(|word| word.text == "from") else {
        return Ok(None);
    };
    let is_name = section.kind.is_proxy() && from < 2;
    if is_name {
        return Ok(None);
    }
    let name = source.value(head, from + 1, "the name of defaults")?;
    Ok(Some((from + 1, name)))
}

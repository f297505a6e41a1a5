//! What a section says of itself, or has from its defaults.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::inert;
use super::line::Line;
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::found::At;

/// The last line that says each thing. A section's own lines replace those of its
/// defaults.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    lines: BTreeMap<&'static str, Rc<Line>>,
    /// Later ones add to earlier ones.
    default_servers: Rc<Vec<Rc<Line>>>,
    /// All `http-check expect`, each of which an answer must meet.
    expects: Rc<Vec<Rc<Line>>>,
    /// Where the section begins whose lines are taken in: those above are inherited.
    start: usize,
}

/// A value, and the line that sets it; `None`: nothing does.
pub(super) type Set<'a, T> = Option<(At<T>, &'a Rc<Line>)>;

/// What a proxy does with the bytes it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Tcp,
    Http,
    /// `log`, `spop`, `health`.
    Other,
}

impl Settings {
    /// What the section that begins with this line has before its own lines.
    pub(super) fn inherited_by(&self, head: &Line) -> Self {
        Settings {
            start: head.place.line,
            ..self.clone()
        }
    }

    /// Takes in a line; one that says no setting changes nothing.
    pub(super) fn apply(&mut self, line: &Rc<Line>) {
        let key = inert::key(line);
        if key == "default-server" {
            Rc::make_mut(&mut self.default_servers).push(Rc::clone(line));
            return;
        }
        if key == "http-check expect" {
            self.forget_inherited_expects();
            Rc::make_mut(&mut self.expects).push(Rc::clone(line));
            return;
        }
        let mut known = SETTINGS.iter();
        let Some((_, setting)) = known.find(|(name, _)| *name == key) else {
            return;
        };
        match line.text(0) {
            "no" | "default" => {
                self.lines.remove(setting);
            }
            _ => {
                if *setting == CHECK {
                    // A check of its own has none of the defaults' requests and
                    // expectations.
                    let start = self.start;
                    let is_own = |line: &Rc<Line>| line.place.line >= start;
                    self.lines
                        .retain(|name, line| !name.starts_with("http-check") || is_own(line));
                    self.forget_inherited_expects();
                }
                self.lines.insert(setting, Rc::clone(line));
            }
        }
    }

    /// The line that says something.
    pub(super) fn line(&self, setting: &str) -> Option<&Rc<Line>> {
        self.lines.get(setting)
    }

    /// What is expected of an answer to the check.
    pub(super) fn expects(&self) -> &[Rc<Line>] {
        &self.expects
    }

    /// What is so of every server that comes after.
    pub(super) fn default_servers(&self) -> &Rc<Vec<Rc<Line>>> {
        &self.default_servers
    }

    pub(super) fn mode(&self) -> Mode {
        match self.line("mode").map_or("tcp", |line| line.text(1)) {
            "tcp" => Mode::Tcp,
            "http" => Mode::Http,
            _ => Mode::Other,
        }
    }

    /// Whether the section is out of use.
    pub(super) fn is_disabled(&self) -> bool {
        self.line("disabled")
            .is_some_and(|line| line.text(0) == "disabled")
    }

    /// A time that is set and is not 0, which is none.
    ///
    /// # Errors
    /// What is set is no time.
    pub(super) fn time(
        &self,
        source: &Source<'_>,
        setting: &str,
    ) -> Result<Set<'_, Duration>, ImportError> {
        let Some(line) = self.line(setting) else {
            return Ok(None);
        };
        // The old names are one word.
        let index = if line.text(0) == "timeout" { 2 } else { 1 };
        let value = source.time(line, index)?;
        let place = line.place.clone();
        Ok((!value.is_zero()).then_some((At { value, place }, line)))
    }

    fn forget_inherited_expects(&mut self) {
        let is_own = |line: &Rc<Line>| line.place.line >= self.start;
        if !self.expects.iter().all(is_own) {
            self.expects = Rc::default();
        }
    }

    /// A limit of connections that is set and is not 0, which is none.
    ///
    /// # Errors
    /// What is set is no number.
    pub(super) fn max_connections(&self, source: &Source<'_>) -> Result<Set<'_, u64>, ImportError> {
        let Some(line) = self.line("maxconn") else {
            return Ok(None);
        };
        let value = source.number(line, 1, (0, u64::MAX))?;
        let place = line.place.clone();
        Ok((value > 0).then_some((At { value, place }, line)))
    }
}

/// The kind of check that servers are asked.
pub(super) const CHECK: &str = "check";

/// Directives, and what they set.
const SETTINGS: [(&str, &str); 41] = [
    // The last of the two holds.
    ("disabled", "disabled"),
    ("enabled", "disabled"),
    ("mode", "mode"),
    ("maxconn", "maxconn"),
    ("balance", "balance"),
    ("hash-type", "hash-type"),
    ("default_backend", "default_backend"),
    ("timeout connect", "timeout connect"),
    ("timeout client", "timeout client"),
    ("timeout server", "timeout server"),
    ("timeout tunnel", "timeout tunnel"),
    ("timeout check", "timeout check"),
    ("timeout client-fin", "timeout client-fin"),
    ("timeout server-fin", "timeout server-fin"),
    ("contimeout", "timeout connect"),
    ("clitimeout", "timeout client"),
    ("srvtimeout", "timeout server"),
    ("option httpchk", CHECK),
    ("option tcp-check", CHECK),
    ("option ssl-hello-chk", CHECK),
    ("option mysql-check", CHECK),
    ("option pgsql-check", CHECK),
    ("option redis-check", CHECK),
    ("option ldap-check", CHECK),
    ("option smtpchk", CHECK),
    ("option spop-check", CHECK),
    ("option external-check", CHECK),
    ("http-check send", "http-check send"),
    ("http-check connect", "http-check connect"),
    ("stats enable", "stats"),
    ("stats uri", "stats"),
    ("stats realm", "stats"),
    ("stats auth", "stats"),
    ("stats scope", "stats"),
    ("stats refresh", "stats"),
    ("stats admin", "stats"),
    ("stats hide-version", "stats"),
    ("stats show-node", "stats"),
    ("stats show-desc", "stats"),
    ("stats show-legends", "stats"),
    ("stats show-modules", "stats"),
];

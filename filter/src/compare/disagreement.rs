//! What replicas disagree about.

use serde::Serialize;
use std::fmt;

/// One thing that is not as it should be, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// What it is about.
    pub subject: Subject,
    /// Which of the things that may be wrong with it.
    #[serde(skip)]
    pub(crate) fault: Fault,
    /// Whose, by name; none: this machine's own.
    pub replicas: Vec<String>,
    /// What it is, and what to do.
    pub text: String,
}

/// What a disagreement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The clocks differ.
    Clock,
    /// A certificate differs, is over, or is not for the registry's name.
    Certificate,
    /// Clients are sent to different places to log in, or to a wrong one.
    Login,
    /// The versions of the software differ.
    Version,
    /// Plain HTTP leads elsewhere.
    Redirect,
}

impl Subject {
    /// The name it goes by everywhere.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Subject::Clock => "clock",
            Subject::Certificate => "certificate",
            Subject::Login => "login",
            Subject::Version => "version",
            Subject::Redirect => "redirect",
        }
    }
}

/// What is wrong with a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not that of most.
    Unlike,
    /// The version of the registry's API is not that of most.
    UnlikeApi,
    /// It is not the registry's name, or leads elsewhere.
    Misnamed,
    /// It is valid for a few days more.
    Expiring,
    /// It is not valid any more.
    Expired,
}

impl Disagreement {
    /// Whether some clients fail for it now: they refuse the certificate or the token, or
    /// can't log in.
    #[must_use]
    pub fn fails_clients(&self) -> bool {
        matches!(self.subject, Subject::Clock | Subject::Login)
            || matches!(self.fault, Fault::Expired | Fault::Misnamed)
    }

    /// Whether it is the other one, though its figures may have moved.
    pub(crate) fn is_same(&self, other: &Disagreement) -> bool {
        let key = |one: &Disagreement| (one.subject, one.fault);
        key(self) == key(other) && self.replicas == other.replicas
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.replicas.iter().take(MOST_NAMES);
        let names: Vec<String> = shown.map(|name| format!("\"{name}\"")).collect();
        let more = self.replicas.len().saturating_sub(MOST_NAMES);
        match self.replicas.len() {
            0 => f.write_str("this machine")?,
            1 => write!(f, "replica {}", names.join(""))?,
            _ => write!(f, "replicas {}", names.join(", "))?,
        }
        if more > 0 {
            write!(f, " and {more} more")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// As many names stand in a line.
const MOST_NAMES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_written_as_it_is_named() {
        let subjects = [
            Subject::Clock,
            Subject::Certificate,
            Subject::Login,
            Subject::Version,
            Subject::Redirect,
        ];
        for subject in subjects {
            let written = serde_json::to_string(&subject).expect("it is text");
            assert_eq!(written, format!("\"{}\"", subject.name()));
        }
    }

    #[test]
    fn what_fails_clients_is_told_from_what_only_differs() {
        let cases = [
            (Subject::Clock, Fault::Unlike, true),
            (Subject::Login, Fault::Unlike, true),
            (Subject::Login, Fault::Misnamed, true),
            (Subject::Certificate, Fault::Expired, true),
            (Subject::Certificate, Fault::Misnamed, true),
            (Subject::Redirect, Fault::Misnamed, true),
            (Subject::Certificate, Fault::Expiring, false),
            (Subject::Certificate, Fault::Unlike, false),
            (Subject::Version, Fault::Unlike, false),
            (Subject::Redirect, Fault::Unlike, false),
        ];
        for (subject, fault, expected) in cases {
            let found = Disagreement {
                subject,
                fault,
                replicas: Vec::new(),
                text: String::new(),
            };
            assert_eq!(found.fails_clients(), expected, "{found:?}");
        }
    }
}

//! Lines of the balancer's log: a text for people, and what it is about as fields.
//!
//! The ABI takes a line as one string. The fields follow the text after a tab, so that a
//! proxy that knows nothing of them still logs a line that can be read and searched:
//!
//! ```text
//! replica "r1" is unhealthy (ping): refused<TAB>replica="r1" address="10.0.0.11" check="ping" reason="refused"
//! ```

use crate::printable::printable;
use std::borrow::Cow;
use std::fmt::Write;

/// What a line can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LogField {
    /// Which of several services.
    Service,
    /// The replica's name.
    Replica,
    /// Where the replica is, as it is configured.
    Address,
    /// The check that found out.
    Check,
    /// Why, by a name that does not change.
    Reason,
    /// The part of the registry at fault.
    Component,
    /// The cause, in the words of the replica or the system.
    Error,
    /// Who asked for it: an address and a port.
    Client,
}

impl LogField {
    /// Each of them, in the order of their numbers.
    pub const ALL: [LogField; 8] = [
        LogField::Service,
        LogField::Replica,
        LogField::Address,
        LogField::Check,
        LogField::Reason,
        LogField::Component,
        LogField::Error,
        LogField::Client,
    ];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LogField::Service => "service",
            LogField::Replica => "replica",
            LogField::Address => "address",
            LogField::Check => "check",
            LogField::Reason => "reason",
            LogField::Component => "component",
            LogField::Error => "error",
            LogField::Client => "client",
        }
    }
}

/// A line that is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    text: String,
    fields: String,
    client: String,
}

impl LogLine {
    /// A line of this text, which is to be [`printable`].
    #[must_use]
    pub fn new(text: String) -> LogLine {
        LogLine {
            text,
            fields: String::new(),
            client: String::new(),
        }
    }

    /// A line about a replica at this address, whose text goes on after its name.
    #[must_use]
    pub fn of_replica(name: &str, address: &str, text: &str) -> LogLine {
        LogLine::new(format!("replica \"{name}\"{text}"))
            .with(LogField::Replica, name)
            .with(LogField::Address, address)
    }

    /// The same with a field; an empty value is none.
    #[must_use]
    pub fn with(mut self, field: LogField, value: &str) -> LogLine {
        if value.is_empty() {
            return self;
        }
        if field == LogField::Client {
            value.clone_into(&mut self.client);
        }
        let line = &mut self.fields;
        if !line.is_empty() {
            line.push(' ');
        }
        // A string takes everything.
        let _ = write!(line, "{}=\"", field.name());
        for letter in printable(value).chars() {
            if matches!(letter, '"' | '\\') {
                line.push('\\');
            }
            line.push(letter);
        }
        line.push('"');
        self
    }

    /// As it is logged.
    #[must_use]
    pub fn into_string(self) -> String {
        match self.fields.is_empty() {
            true => self.text,
            false => self.text + "\t" + &self.fields,
        }
    }

    /// For people, without the fields.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Who asked for it; empty: nobody did.
    pub(crate) fn client(&self) -> &str {
        &self.client
    }
}

/// The fields of a line; what it is not about is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFields<'a>([Option<Cow<'a, str>>; LogField::ALL.len()]);

impl<'a> LogFields<'a> {
    /// Takes a line apart: its text, and its fields. What has not the form that
    /// [`LogLine`] gives it is all text.
    #[must_use]
    pub fn split(line: &'a str) -> (&'a str, LogFields<'a>) {
        let split = line.rsplit_once('\t');
        let parsed = split.and_then(|(text, fields)| Some((text, LogFields::parse(fields)?)));
        parsed.unwrap_or_else(|| (line, LogFields::default()))
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, field: LogField) -> Option<&str> {
        self.0.get(field as usize)?.as_deref()
    }

    fn parse(mut rest: &'a str) -> Option<LogFields<'a>> {
        let mut fields = LogFields::default();
        while !rest.is_empty() {
            let (name, quoted) = rest.split_once("=\"")?;
            let field = LogField::ALL.into_iter().find(|it| it.name() == name)?;
            let (value, behind) = unquoted(quoted)?;
            *fields.0.get_mut(field as usize)? = Some(value);
            rest = match behind {
                "" => "",
                _ => behind.strip_prefix(' ')?,
            };
        }
        Some(fields)
    }
}

/// A value up to its closing quote, and what comes behind that.
fn unquoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                let (raw, behind) = (text.get(..at)?, text.get(at + 1..)?);
                let value = match raw.len() == value.len() {
                    true => Cow::Borrowed(raw),
                    false => Cow::Owned(value),
                };
                return Some((value, behind));
            }
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_well_and_is_read_as_it_was_written() {
        let line = LogLine::new("replica \"r1\" is unhealthy (ping): status".to_owned())
            .with(LogField::Replica, "r1")
            .with(LogField::Component, "")
            .with(LogField::Error, r#"say "no" \ never"#)
            .into_string();
        let expected = "replica \"r1\" is unhealthy (ping): status\t\
                        replica=\"r1\" error=\"say \\\"no\\\" \\\\ never\"";
        assert_eq!(line, expected);
        let (text, fields) = LogFields::split(&line);
        assert_eq!(text, "replica \"r1\" is unhealthy (ping): status");
        assert_eq!(fields.get(LogField::Replica), Some("r1"));
        assert_eq!(fields.get(LogField::Component), None);
        assert_eq!(fields.get(LogField::Error), Some(r#"say "no" \ never"#));
    }

    #[test]
    fn what_a_replica_says_forges_neither_a_field_nor_a_line() {
        let forged = [
            r#"" replica="r2"#,
            r#"\" replica="r2"#,
            "x\treplica=\"r2\"",
            "x\nreplica \"r2\" is healthy\treplica=\"r2\"",
            "\\",
            "\"",
        ];
        for text in forged {
            let line = LogLine::new(format!("it says {}", printable(text)))
                .with(LogField::Replica, "r1")
                .with(LogField::Error, text)
                .with(LogField::Check, "ping")
                .into_string();
            let (_, fields) = LogFields::split(&line);
            assert_eq!(fields.get(LogField::Replica), Some("r1"), "{line:?}");
            assert_eq!(fields.get(LogField::Check), Some("ping"), "{line:?}");
            let said = fields.get(LogField::Error);
            assert_eq!(said, Some(&*printable(text)), "{line:?}");
            assert!(!line.contains('\n'), "{line:?}");
        }
    }

    #[test]
    fn what_has_another_form_is_text() {
        let lines = [
            "no tab",
            "a tab\tand no field",
            "one that is unknown\tcolour=\"red\"",
            "no quotes\treplica=r1",
            "no end\treplica=\"r1",
            "no end\treplica=\"r1\\",
            "no space\treplica=\"r1\"check=\"ping\"",
            "too much\treplica=\"r1\"  check=\"ping\"",
        ];
        for line in lines {
            let (text, fields) = LogFields::split(line);
            assert_eq!((text, fields), (line, LogFields::default()));
        }
    }

    #[test]
    fn each_field_has_its_place() {
        for (place, field) in LogField::ALL.into_iter().enumerate() {
            assert_eq!(place, field as usize, "{}", field.name());
        }
    }
}

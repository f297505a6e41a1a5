//! Why a configuration is refused: where, which value, and what to do.

use std::fmt;

use serde_path_to_error::{Path, Segment};

/// A configuration that can't be used.
///
/// Its text names the file, the field, the value and the remedy:
/// `lb.json: replicas[0].weight is 0; expected a whole number from 1 to 1000`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub struct ConfigError {
    /// The file's name, or `command line`.
    pub source_name: String,
    /// Such as `replicas[0].weight`, or a flag; `None`: the whole file.
    pub field: Option<String>,
    /// What was found there, as JSON, cut to a bound; `None`: nothing.
    pub value: Option<String>,
    /// What is wrong and what to do.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source_name)?;
        match (&self.field, &self.value) {
            (Some(field), Some(value)) => write!(f, "{field} is {value}; {}", self.problem),
            (Some(field), None) => write!(f, "{field}: {}", self.problem),
            (None, _) => f.write_str(&self.problem),
        }
    }
}

/// Where a configuration came from, for the words of its errors.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A file of this name.
    File(String),
    /// Flags; fields are called by the flag that set them.
    Flags,
}

impl Source {
    /// An error of one field and the value found there.
    pub(super) fn refuse(
        &self,
        field: &str,
        value: impl Into<serde_json::Value>,
        problem: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            source_name: self.name(),
            field: Some(self.field(field)),
            value: Some(shown(&value.into())),
            problem: problem.into(),
        }
    }

    /// An error of one field, whatever its value.
    pub(super) fn refuse_field(&self, field: &str, problem: impl Into<String>) -> ConfigError {
        ConfigError {
            source_name: self.name(),
            field: Some(self.field(field)),
            value: None,
            problem: problem.into(),
        }
    }

    /// An error of the whole.
    pub(super) fn refuse_all(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError {
            source_name: self.name(),
            field: None,
            value: None,
            problem: problem.into(),
        }
    }

    /// What the JSON reader found wrong, in the operator's words.
    pub(super) fn refuse_json(
        &self,
        text: &str,
        error: serde_path_to_error::Error<serde_json::Error>,
    ) -> ConfigError {
        let path = error.path().clone();
        let error = error.into_inner();
        let (line, column) = (error.line(), error.column());
        let message = without_position(&error.to_string());
        if error.is_syntax() || error.is_eof() {
            if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
                // A choice of words, where serde calls any other JSON a syntax error.
                let found = value_at(text, &path).unwrap_or_default();
                return self.refuse(&path.to_string(), found, "expected a word in quotes");
            }
            return self.refuse_all(format!(
                "not JSON at line {line}, column {column}: {message}; check the comma, bracket or quote there"
            ));
        }
        let field = path.to_string();
        if let Some((wrong, known)) = unknown(&message, "unknown field `") {
            return self.unknown_field(&path, &wrong, &known);
        }
        if let Some(missing) = between(&message, "missing field `", "`") {
            let whole = if field == "." {
                missing.to_owned()
            } else {
                format!("{field}.{missing}")
            };
            return ConfigError {
                source_name: self.name(),
                field: Some(self.field(&whole)),
                value: None,
                problem: format!("missing; {}", remedy_for_missing(missing)),
            };
        }
        if let Some(twice) = between(&message, "duplicate field `", "`") {
            return self.refuse_all(format!(
                "line {line}: {twice:?} is given twice; leave one of them"
            ));
        }
        let problem = match unknown(&message, "unknown variant `") {
            Some((wrong, known)) => one_of(&wrong, &known),
            None => match message.split_once(", expected ") {
                Some((_, expected)) => format!("expected {}", plainly(expected)),
                None => message,
            },
        };
        ConfigError {
            source_name: self.name(),
            field: (field != ".").then(|| self.field(&field)),
            value: value_at(text, &path).map(|value| shown(&value)),
            problem,
        }
    }

    fn unknown_field(&self, path: &Path, wrong: &str, known: &[String]) -> ConfigError {
        let inside = path.to_string();
        let parent = inside
            .strip_suffix(wrong)
            .map_or(inside.as_str(), |parent| parent.trim_end_matches('.'));
        let place = if parent.is_empty() || parent == "." {
            "here".to_owned()
        } else {
            format!("in {parent}")
        };
        let hint = match nearest(wrong, known) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "remove it;".to_owned(),
        };
        self.refuse_all(format!(
            "unknown field {wrong:?} {place}; {hint} known: {}",
            known.join(", ")
        ))
    }

    fn name(&self) -> String {
        match self {
            Source::File(name) => name.clone(),
            Source::Flags => "command line".to_owned(),
        }
    }

    fn field(&self, field: &str) -> String {
        match self {
            Source::File(_) => field.to_owned(),
            Source::Flags => FLAGS
                .iter()
                .find(|(prefix, _)| field.starts_with(prefix))
                .map_or_else(|| field.to_owned(), |(_, flag)| (*flag).to_owned()),
        }
    }
}

/// The nearest of the known words, when one is near enough to be meant.
fn nearest<'a>(wrong: &str, known: &'a [String]) -> Option<&'a str> {
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(wrong, word), word.as_str()))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// What serde expected, in words of JSON instead of Rust's.
fn plainly(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false, without quotes",
        "a sequence" => "a list in brackets",
        "a map" => "an object in braces",
        _ if expected.starts_with("struct ") => "an object in braces",
        _ => expected,
    }
}

fn one_of(wrong: &str, known: &[String]) -> String {
    let list = known.join(", ");
    match nearest(wrong, known) {
        Some(near) => format!("expected one of {list}; did you mean {near:?}?"),
        None => format!("expected one of {list}"),
    }
}

/// Takes serde's ``unknown field `x`, expected one of `a`, `b` `` apart.
fn unknown(message: &str, start: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix(start)?;
    let (wrong, expected) = rest.split_once("`, ")?;
    let known = expected.split('`').skip(1).step_by(2).map(str::to_owned);
    Some((wrong.to_owned(), known.collect()))
}

fn between<'a>(message: &'a str, start: &str, end: &str) -> Option<&'a str> {
    message
        .strip_prefix(start)?
        .split_once(end)
        .map(|(found, _)| found)
}

fn without_position(message: &str) -> String {
    match message.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => message.to_owned(),
    }
}

fn value_at(text: &str, path: &Path) -> Option<serde_json::Value> {
    let mut value: serde_json::Value = serde_json::from_str(text).ok()?;
    for segment in path {
        value = match segment {
            Segment::Seq { index } => value.get_mut(*index)?.take(),
            Segment::Map { key } => value.get_mut(key.as_str())?.take(),
            Segment::Enum { .. } | Segment::Unknown => return Some(value),
        };
    }
    Some(value)
}

fn shown(value: &serde_json::Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn remedy_for_missing(field: &str) -> &'static str {
    match field {
        "fqdn" => r#"give the registry's name, such as "dtr.example.com""#,
        "replicas" => r#"list them, such as [{"address": "10.0.0.11"}]"#,
        "address" => "give the replica's IP address or DNS name",
        "bind" => r#"give an address and a port, such as "0.0.0.0:443""#,
        "pointer" => r#"give a JSON pointer, such as "/status""#,
        "healthy" => "give the value a healthy answer has there",
        _ => "add it",
    }
}

/// Which flag sets a field.
const FLAGS: [(&str, &str); 8] = [
    ("fqdn", "--fqdn"),
    ("replicas", "--replica"),
    ("listeners", "--listen"),
    ("health.preset", "--health-preset"),
    ("health.target", "--health-target"),
    ("health.verify", "--verify"),
    ("admin", "--admin"),
    ("policy", "--policy"),
];

/// Characters of a value that are shown.
const LONGEST_VALUE: usize = 120;

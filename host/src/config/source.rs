//! Where a configuration came from.

use std::path::Path;

use serde_json::Value;

use super::error::ConfigError;
use super::warning::ConfigWarning;

/// Where a configuration came from: what its errors name, and where its relative
/// paths start.
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
        value: impl Into<Value>,
        problem: impl Into<String>,
    ) -> ConfigError {
        self.error(Some(field), Some(&value.into()), problem.into())
    }

    /// An error of one field, whatever its value.
    pub(super) fn refuse_field(&self, field: &str, problem: impl Into<String>) -> ConfigError {
        self.error(Some(field), None, problem.into())
    }

    /// An error of the whole.
    pub(super) fn refuse_all(&self, problem: impl Into<String>) -> ConfigError {
        self.error(None, None, problem.into())
    }

    /// An error, with what is known of the field and the value found there.
    pub(super) fn error(
        &self,
        field: Option<&str>,
        value: Option<&Value>,
        problem: String,
    ) -> ConfigError {
        ConfigError {
            source_name: self.name().to_owned(),
            field: field.map(|field| self.field(field)),
            value: value.map(|value| shown(field.unwrap_or_default(), value)),
            problem,
        }
    }

    /// A warning of one field and the value there.
    pub(super) fn warning(
        &self,
        field: &str,
        value: impl Into<Value>,
        problem: impl Into<String>,
    ) -> ConfigWarning {
        ConfigWarning {
            source_name: self.name().to_owned(),
            field: self.field(field),
            value: shown(field, &value.into()),
            problem: problem.into(),
        }
    }

    /// The one for who wrote a file, or the one for who gave flags.
    pub(super) fn either<'a>(&self, in_file: &'a str, by_flag: &'a str) -> &'a str {
        match self {
            Source::File(_) => in_file,
            Source::Flags => by_flag,
        }
    }

    /// Where a relative path of the configuration starts.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Source::File(name) => Path::new(name).parent().unwrap_or(Path::new("")),
            Source::Flags => Path::new(""),
        }
    }

    /// What its errors name.
    pub(super) fn name(&self) -> &str {
        match self {
            Source::File(name) => name,
            Source::Flags => "command line",
        }
    }

    /// What the operator calls a field.
    pub(super) fn field(&self, field: &str) -> String {
        match self {
            Source::File(_) => field.to_owned(),
            Source::Flags => FLAGS
                .iter()
                .find(|(prefix, _)| field.starts_with(prefix))
                .map_or_else(|| field.to_owned(), |(_, flag)| (*flag).to_owned()),
        }
    }
}

fn shown(field: &str, value: &Value) -> String {
    match may_be_secret(field, value) {
        true => "(not shown)".to_owned(),
        false => shortened(value),
    }
}

/// Whether a value is a token or a password, or one that is mistyped.
fn may_be_secret(field: &str, value: &Value) -> bool {
    let is_in_headers = field.ends_with("headers") || field.contains("headers.");
    match field {
        "admin" => !value.is_object(),
        "admin.token" => true,
        _ => is_in_headers && !value.is_object(),
    }
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
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

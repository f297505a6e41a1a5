//! Why a configuration is refused: where, which value, and what to do.

use std::fmt;

use super::warning::ConfigWarning;

/// One thing that is wrong with a configuration.
///
/// Its text names the file, the field, the value and the remedy:
/// `lb.json: replicas[0].weight is 0; expected a whole number from 1 to 1000`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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

/// All that is wrong with a configuration that can't be used: at least one error, in
/// the order of the file. Its text has a line for each.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ConfigErrors {
    /// Never empty.
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigWarning>,
}

impl ConfigErrors {
    /// These errors, or the one given when there are none.
    pub(super) fn new(mut errors: Vec<ConfigError>, or: impl FnOnce() -> ConfigError) -> Self {
        if errors.is_empty() {
            errors.push(or());
        }
        ConfigErrors {
            errors,
            warnings: Vec::new(),
        }
    }

    pub(super) fn with_warnings(self, warnings: Vec<ConfigWarning>) -> Self {
        ConfigErrors { warnings, ..self }
    }

    /// Each error; never none.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }

    /// What else is probably not meant, as far as the errors let it be seen.
    #[must_use]
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        ConfigErrors {
            errors: vec![error],
            warnings: Vec::new(),
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

//! Why a configuration is refused: where, which value, and what to do.

use std::fmt;

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

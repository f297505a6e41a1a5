//! What is right in a configuration and still probably not meant.

use std::fmt;

/// Something that a configuration may say, and that its operator has probably not
/// meant.
///
/// Its text names the file, the field, the value and the remedy, as a
/// [`ConfigError`](super::ConfigError) does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigWarning {
    /// The file's name, or `command line`.
    pub source_name: String,
    /// Such as `idle_timeout`, or a flag.
    pub field: String,
    /// What is there, or its default, as JSON.
    pub value: String,
    /// What follows from it, and what to do.
    pub problem: String,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigWarning {
            source_name,
            field,
            value,
            problem,
        } = self;
        write!(f, "{source_name}: {field} is {value}; {problem}")
    }
}

//! What is wrong with the configuration.

use dtr_lb::config::{ConfigErrors, ConfigWarning};

use super::finding::{Finding, Severity, Source};

/// Why it can't be used, and what else is probably not meant.
pub(super) fn errors(errors: &ConfigErrors) -> impl Iterator<Item = Finding> {
    let found = errors.iter().map(|error| Finding {
        severity: Severity::Error,
        source: Source::Configuration,
        about: error.field.clone().into_iter().collect(),
        text: error.to_string(),
    });
    found.chain(warnings(errors.warnings().iter().cloned()))
}

/// What is probably not meant.
pub(super) fn warnings(
    warnings: impl Iterator<Item = ConfigWarning>,
) -> impl Iterator<Item = Finding> {
    warnings.map(|warning| Finding {
        severity: Severity::Warning,
        source: Source::Configuration,
        text: warning.to_string(),
        about: vec![warning.field],
    })
}

/// Names by which no replica is found.
pub(super) fn unanswered(names: Vec<ConfigWarning>) -> impl Iterator<Item = Finding> {
    warnings(names.into_iter()).map(|found| Finding {
        severity: Severity::Error,
        ..found
    })
}

/// Others may read the password.
pub(super) fn exposed(warning: &str) -> Finding {
    Finding {
        severity: Severity::Warning,
        source: Source::Configuration,
        about: vec!["--password-file".to_owned()],
        text: warning.to_owned(),
    }
}

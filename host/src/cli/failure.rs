//! Why a command failed.

use std::fmt;
use std::process::ExitCode;

use dtr_lb::config::ConfigErrors;

/// Why a command failed, and so with which exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration is wrong: 2, as for wrong flags.
    Config(ConfigErrors),
    /// The arguments are wrong, or something they name: 2.
    Usage(anyhow::Error),
    /// Something failed while running: 1.
    Runtime(anyhow::Error),
    /// The configuration is wrong, and the command has said so: 2.
    Reported,
    /// Something else is wrong, and the command has said so: 1.
    Found,
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Config(_) | Failure::Usage(_) | Failure::Reported => ExitCode::from(2),
            Failure::Runtime(_) | Failure::Found => ExitCode::FAILURE,
        }
    }

    /// What is left to say on standard error, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Failure::Config(errors) => {
                let warnings = errors.warnings().iter();
                let warnings = warnings.map(|warning| format!("warning: {warning}"));
                let errors = errors.iter().map(|error| format!("error: {error}"));
                errors.chain(warnings).collect()
            }
            Failure::Usage(_) | Failure::Runtime(_) => vec![format!("error: {self}")],
            Failure::Reported | Failure::Found => Vec::new(),
        }
    }
}

/// In one line, for the log.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Config(errors) => f.write_str(&in_one_line(errors)),
            Failure::Usage(error) | Failure::Runtime(error) => f.write_str(&with_causes(error)),
            Failure::Reported => f.write_str("the configuration is wrong"),
            Failure::Found => f.write_str("something is wrong"),
        }
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Failure::Config(errors)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Runtime(error)
    }
}

fn in_one_line(errors: &ConfigErrors) -> String {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if let [error] = errors.as_slice() {
        return error.clone();
    }
    let numbered = errors.iter().zip(1..);
    let numbered: Vec<String> = numbered
        .map(|(error, n)| format!("({n}) {error}"))
        .collect();
    format!("{} errors: {}", errors.len(), numbered.join("; "))
}

/// The error and its causes. Many errors name their cause in their own message;
/// such a cause is not repeated.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

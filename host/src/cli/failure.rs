//! Why a command failed.

use std::fmt;
use std::process::ExitCode;

use dtr_lb::config::ConfigError;

/// Why a command failed, and so with which exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments or the configuration are wrong: 2, as for wrong flags.
    Usage(anyhow::Error),
    /// Something failed while running: 1.
    Runtime(anyhow::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Runtime(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Usage(error) | Failure::Runtime(error)) = self;
        f.write_str(&with_causes(error))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::Usage(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Runtime(error)
    }
}

/// The error and its causes. Many errors name their cause in their own message;
/// such a cause is not repeated.
fn with_causes(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

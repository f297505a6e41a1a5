//! Who asks a registry, and whom the password may go to.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use dtr_lb::cluster_status::Credentials;
use dtr_lb::config::{Check, Config, Trust};

use super::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct RegistryLogin {
    /// An administrator of the registry [default: that of "cluster_status" in FILE].
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// A file whose only line is the password; it stands nowhere else.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Send the password also where nobody has verified who answers.
    #[arg(long)]
    insecure: bool,
}

/// A user, and the check whose connections may carry the password.
pub(super) struct Login<'a> {
    pub(super) credentials: Credentials,
    pub(super) check: &'a Check,
    /// What is wrong with the password's file, though it can be read.
    pub(super) warning: Option<String>,
}

impl RegistryLogin {
    /// Whether the arguments name a user.
    pub(super) fn is_given(&self) -> bool {
        self.user.is_some()
    }

    /// That of the arguments, or else of the configuration; `None`: neither has one.
    ///
    /// # Errors
    /// The password can't be read, or no check verifies whom it would go to.
    pub(super) fn of<'a>(&self, config: &'a Config) -> Result<Option<Login<'a>>, Failure> {
        let configured = config.cluster_status.as_ref();
        let mut warning = None;
        let credentials = match (&self.user, &self.password_file, configured) {
            (Some(user), Some(file), _) => {
                warning = dtr_lb::exposure(file)
                    .map(|problem| format!("--password-file is {}; {problem}", file.display()));
                Credentials::read(user, file).map_err(usage)?
            }
            (_, _, Some(configured)) => configured.credentials.clone(),
            _ => return Ok(None),
        };
        let trust = match (self.insecure, configured) {
            (true, _) => Trust::Anybody,
            (false, Some(configured)) => configured.trust,
            (false, None) => Trust::Verified,
        };
        let check = config
            .check_for_password(trust)
            .map_err(|problem| usage(problem.replace("with \"insecure\"", "with --insecure")))?;
        Ok(Some(Login {
            credentials,
            check,
            warning,
        }))
    }
}

fn usage(problem: impl std::fmt::Display) -> Failure {
    Failure::Usage(anyhow!("{problem}"))
}

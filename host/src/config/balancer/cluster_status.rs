//! How the registry is asked for its own word on its replicas.

use std::time::Duration;

use super::file;
use super::{Check, Config};
use crate::cluster_status::Credentials;
use crate::config::duration::BoundedDuration;
use crate::config::problems::Problems;
use crate::config::verify::Verify;
use crate::secret_file::exposure;
use dtr_lb_filter::config::CheckKind;

/// How the registry is asked for its own word on its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// How often each replica is asked.
    pub interval: Duration,
    /// Who asks.
    pub credentials: Credentials,
    /// Whom the password may be sent to.
    pub trust: Trust,
}

/// Whom a password may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A peer whose certificate has been verified.
    Verified,
    /// Any peer that answers.
    Anybody,
}

impl Config {
    /// The check whose connections carry the password; its port is the one that is asked.
    ///
    /// # Errors
    /// None of the checks verifies a certificate, and that is asked for.
    pub fn check_for_password(&self, trust: Trust) -> Result<&Check, &'static str> {
        check_for_password(&self.checks, trust)
    }
}

/// Reads the field, and the password.
pub(super) fn read(
    file: Option<&file::ClusterStatus>,
    checks: &[Check],
    problems: &mut Problems,
) -> Option<ClusterStatus> {
    let file = file?;
    let trust = match file.insecure {
        true => Trust::Anybody,
        false => Trust::Verified,
    };
    if let Err(problem) = check_for_password(checks, trust) {
        problems.refuse_field("cluster_status", problem);
    }
    let path = problems.source().folder().join(&file.password_file);
    if let Some(problem) = exposure(&path) {
        problems.warn(
            "cluster_status.password_file",
            file.password_file.as_str(),
            problem,
        );
    }
    match Credentials::read_file(&file.user, &path) {
        Ok(credentials) => Some(ClusterStatus {
            interval: file.interval.map_or(INTERVAL, BoundedDuration::get),
            credentials,
            trust,
        }),
        Err(problem) => {
            problems.refuse_field("cluster_status", problem);
            None
        }
    }
}

fn check_for_password(checks: &[Check], trust: Trust) -> Result<&Check, &'static str> {
    let verifies = |check: &&Check| check.tls.as_ref().is_some_and(|tls| *tls != Verify::None);
    let is_http = |check: &&Check| matches!(check.kind, CheckKind::Http { .. });
    let tls = |check: &&Check| check.tls.is_some();
    let verified = checks.iter().find(verifies);
    let any = || checks.iter().find(tls).or(checks.iter().find(is_http));
    match (verified, trust) {
        (Some(check), _) => Ok(check),
        (None, Trust::Anybody) => any().ok_or(
            "no check asks over HTTP, so that no port is known: set health.target, such as \
             \"https:443/_ping\"",
        ),
        (None, Trust::Verified) => Err(
            "no check verifies a certificate, so that the password would go to any peer that answers: \
             give \"health\" an https target and a \"verify\" other than \"none\", or allow it \
             with \"insecure\"",
        ),
    }
}

const INTERVAL: Duration = Duration::from_secs(60);

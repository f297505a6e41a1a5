//! Warnings that both forms of the file share.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::duration;
use super::problems::Problems;
use super::source::Source;
use crate::secret_file::exposure;

/// Silence that a registry's clients may well need.
pub(super) fn of_idle_timeout(time: Option<Duration>, problems: &mut Problems) {
    let Some(time) = time.filter(|time| *time < SHORTEST_IDLE_TIMEOUT) else {
        return;
    };
    let problem = format!(
        "registries and their clients are silent for longer while they work, and would be cut \
         off; leave it out, or give at least {}",
        duration::text(SHORTEST_IDLE_TIMEOUT)
    );
    problems.warn("idle_timeout", duration::text(time), problem);
}

/// Certificates that nobody looks at; `field` is where `verify` stands.
pub(super) fn of_no_verification(field: &str, problems: &mut Problems) {
    let problem = "no certificate is looked at, so that any server at the address is \
                   trusted; give a file of CA certificates (PEM), or \"system\"";
    problems.warn(field, "none", problem);
}

/// An admin listener that strangers may reach.
pub(super) fn of_open_admin(bind: SocketAddr, problems: &mut Problems) {
    if bind.ip().to_canonical().is_loopback() {
        return;
    }
    let remedy = problems.source().either(
        r#"give a "token", or bind it to a loopback address"#,
        "bind it to a loopback address, or write a file with a \"token\" (--config)",
    );
    let problem = format!(
        "every client that reaches it reads the status, and without a token nobody can change anything; \
         {remedy}"
    );
    problems.warn("admin.bind", bind.to_string(), problem);
}

/// A token in a configuration file that others may read.
pub(super) fn of_readable_token(problems: &mut Problems) {
    let Source::File(name) = problems.source() else {
        return;
    };
    if let Some(problem) = exposure(Path::new(name)) {
        let problem = format!("{problem}, or give a \"token_file\"");
        problems.warn("admin.token", Value::Null, problem);
    }
}

/// A client that waits for a registry may say nothing for minutes.
const SHORTEST_IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

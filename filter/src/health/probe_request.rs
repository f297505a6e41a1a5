//! What a replica is asked, as an HTTP request.

use crate::config::{Check, CheckKind, Config};
use crate::health::schedule::ProbeId;
use std::time::Duration;

/// One request, to be sent as an HTTP call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRequest {
    /// Comes back with the answer.
    pub probe: ProbeId,
    /// Whom to ask: the cluster `CHECK/REPLICA`.
    pub cluster: String,
    /// The request's headers, `:method` and the like first.
    pub headers: Vec<(String, String)>,
    /// How long to wait.
    pub timeout: Duration,
}

impl ProbeRequest {
    /// What this check asks of this replica.
    pub(crate) fn of(
        probe: ProbeId,
        check: &Check,
        replica: &str,
        config: &Config,
    ) -> ProbeRequest {
        // A bare connection is tested by a request that any answer will do for.
        let (scheme, path, extra) = match &check.kind {
            CheckKind::Http {
                scheme,
                path,
                headers,
                ..
            } => (scheme.as_str(), path.as_str(), headers.as_slice()),
            CheckKind::Tcp => ("http", "/", [].as_slice()),
        };
        let fixed = [
            (":method", "GET"),
            (":path", path),
            (":scheme", scheme),
            (":authority", config.fqdn.as_str()),
            ("user-agent", concat!("dtr-lb/", env!("CARGO_PKG_VERSION"))),
            ("accept", "*/*"),
        ];
        let replaced = |name: &str| extra.iter().any(|(told, _)| told == name);
        let fixed = fixed
            .iter()
            .filter(|(name, _)| name.starts_with(':') || !replaced(name));
        let mut headers: Vec<(String, String)> = fixed
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        for (name, value) in extra {
            // The registry may be asked for another name than clients use.
            if name == "host" {
                headers.retain(|(name, _)| name != ":authority");
                headers.push((":authority".to_owned(), value.clone()));
            } else {
                headers.push((name.clone(), value.clone()));
            }
        }
        ProbeRequest {
            probe,
            cluster: format!("{}/{replica}", check.name),
            headers,
            timeout: Duration::from_millis(config.health.timeout_ms),
        }
    }
}

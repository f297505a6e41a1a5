//! What a replica is asked, as an HTTP request.

use crate::config::CheckKind;
use std::sync::Arc;
use std::time::Duration;

/// A probe's number; never used twice by a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeId(pub u64);

/// One probe, to be sent as an HTTP call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRequest {
    /// Comes back with the answer.
    pub probe: ProbeId,
    /// The [`cluster`](crate::contract::ClusterNames::probe) to send it to.
    pub cluster: String,
    /// The request's headers, `:method` and the like first.
    pub headers: Arc<[(String, String)]>,
    /// How long to wait.
    pub timeout: Duration,
}

/// The headers of a probe. A registry's own name goes with it; a configured `host`
/// replaces that.
pub fn headers(kind: &CheckKind, fqdn: &str) -> Vec<(String, String)> {
    // A bare connection is tested by a request that any answer will do for.
    let (scheme, path, extra) = match kind {
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
        (":authority", fqdn),
        ("user-agent", concat!("dtr-lb/", env!("CARGO_PKG_VERSION"))),
        ("accept", "*/*"),
    ];
    let is_replaced = |name: &str| extra.iter().any(|(given, _)| given == name);
    let fixed = fixed
        .iter()
        .filter(|(name, _)| name.starts_with(':') || !is_replaced(name));
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
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_headers_replace_ours() {
        let kind = |headers: &[(&str, &str)]| CheckKind::Http {
            scheme: "https".to_owned(),
            path: "/_ping".to_owned(),
            statuses: vec![(200, 200)],
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: None,
        };
        let cases = [
            ("ours", kind(&[]), ":authority", "dtr.example.com"),
            (
                "another host",
                kind(&[("host", "x.example.com")]),
                ":authority",
                "x.example.com",
            ),
            (
                "another agent",
                kind(&[("user-agent", "me")]),
                "user-agent",
                "me",
            ),
            ("one more", kind(&[("x-probe", "1")]), "x-probe", "1"),
            ("a path of its own", kind(&[]), ":path", "/_ping"),
            ("none for a bare connection", CheckKind::Tcp, ":path", "/"),
        ];
        for (why, kind, name, expected) in cases {
            let headers = headers(&kind, "dtr.example.com");
            let values: Vec<&str> = headers
                .iter()
                .filter(|(given, _)| given == name)
                .map(|(_, value)| value.as_str())
                .collect();
            assert_eq!(values, [expected], "{why}");
        }
    }
}

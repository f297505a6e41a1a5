//! What the proxy answers in a replica's stead, and what that says of the replica.

use super::probe_failure::ProbeFailure;
use super::reason::Reason;

/// Whether a connection could be opened, by what the proxy makes up when the other
/// side does not speak HTTP.
///
/// # Errors
///
/// Why it could not.
pub(crate) fn judge_connection(status: u16, body: &[u8]) -> Result<(), ProbeFailure> {
    let failure = failure(status, body);
    match failure.reason {
        // Connected, and then: an early end, bytes that are not HTTP, silence. That
        // is no connect timeout: the cluster's is shorter than the probe's.
        Reason::Reset | Reason::NotHttp | Reason::Timeout => Ok(()),
        _ => Err(failure),
    }
}

/// Whether the proxy made this up because it is at a limit of its own, before anything
/// was asked of the replica: too few files, say, or a circuit breaker.
pub(crate) fn is_not_asked(status: u16, body: &[u8]) -> bool {
    status == 503 && body.ends_with(NOT_ASKED)
}

/// Reads from the proxy's text why a probe got no answer.
pub(crate) fn failure(status: u16, body: &[u8]) -> ProbeFailure {
    let text = String::from_utf8_lossy(body);
    let lower = text.to_ascii_lowercase();
    let reason = match status {
        504 => Reason::Timeout,
        // The host gave the answer up half-way.
        0 => Reason::Reset,
        _ => {
            let mut phrases = PHRASES.iter();
            let found = phrases.find(|(_, any)| any.iter().any(|phrase| lower.contains(phrase)));
            found.map_or(Reason::ProxyError, |(reason, _)| *reason)
        }
    };
    match last_part(&text) {
        "" => ProbeFailure::new(reason, "no complete answer"),
        text => ProbeFailure::new(reason, text),
    }
}

/// The end of Envoy's sentence about its own limits
/// (`source/common/http/utility.cc`, `resetReasonToString`).
const NOT_ASKED: &[u8] = b"reset reason: overflow";

/// What proxies write, the most exact first: a certificate's failure is also one
/// of TLS, and that one of the connection.
const PHRASES: [(Reason, &[&str]); 9] = [
    (
        Reason::Certificate,
        &["certificate_verify_failed", "certificate verif"],
    ),
    (Reason::Tls, &["tls_error", "ssl routines"]),
    (
        Reason::ConnectTimeout,
        &["connection timeout", "connect timeout"],
    ),
    (
        Reason::NoAddress,
        &["no healthy upstream", "no address", "dns"],
    ),
    (Reason::NotHttp, &["protocol error"]),
    (Reason::Refused, &["refused", "unreachable"]),
    (Reason::ConnectFailed, &["connection failure"]),
    (
        Reason::Reset,
        &["connection termination", "remote reset", "local reset"],
    ),
    (Reason::Timeout, &["request timeout"]),
];

/// The end of the proxy's standard sentence, which has the cause.
fn last_part(text: &str) -> &str {
    let mut part = text;
    for mark in [
        "reset reason: ",
        "transport failure reason: ",
        "delayed connect error: ",
        "immediate connect error: ",
    ] {
        if let Some((_, rest)) = part.split_once(mark) {
            part = rest;
        }
    }
    part.trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bodies are those of Envoy 1.40, with and without its runtime switch that
    /// hides the transport's failure; the host makes up the same.
    #[test]
    fn what_the_proxy_makes_up_is_understood() {
        let frame = "upstream connect error or disconnect/reset before headers. reset reason: ";
        let certificate = "remote connection failure, transport failure reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed:TLS_error_end";
        let version = "remote connection failure, transport failure reason: TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end";
        let refused = "remote connection failure, transport failure reason: delayed connect error: Connection refused";
        let hidden = "remote connection failure";
        let cases = [
            (503, certificate, Reason::Certificate, true),
            (503, version, Reason::Tls, true),
            (503, refused, Reason::Refused, true),
            (503, hidden, Reason::ConnectFailed, true),
            (503, "connection timeout", Reason::ConnectTimeout, true),
            (503, "connection termination", Reason::Reset, false),
            (502, "protocol error", Reason::NotHttp, false),
            (503, "overflow", Reason::ProxyError, true),
        ];
        for (status, cause, expected, is_down) in cases {
            let body = format!("{frame}{cause}");
            assert_eq!(failure(status, body.as_bytes()).reason, expected, "{cause}");
            assert_eq!(
                judge_connection(status, body.as_bytes()).is_err(),
                is_down,
                "a bare connection, {cause}"
            );
        }
        let cases: [(u16, &str, Reason); 4] = [
            (504, "upstream request timeout", Reason::Timeout),
            (503, "no healthy upstream", Reason::NoAddress),
            (0, "", Reason::Reset),
            (200, "", Reason::ProxyError),
        ];
        for (status, body, expected) in cases {
            assert_eq!(failure(status, body.as_bytes()).reason, expected, "{body}");
        }
        let overflow = format!("{frame}overflow");
        assert!(is_not_asked(503, overflow.as_bytes()));
        for (status, body) in [(503, refused), (503, ""), (504, overflow.as_str())] {
            assert!(!is_not_asked(status, body.as_bytes()), "{body}");
        }
        let text = failure(503, format!("{frame}{refused}").as_bytes()).text;
        assert_eq!(
            text, "Connection refused",
            "only the end, which has the cause"
        );
    }
}

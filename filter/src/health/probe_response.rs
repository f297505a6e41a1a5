//! What a replica answered, and whether that is the answer of a healthy one.

use crate::config::{BodyCheck, CheckKind};
use crate::health::reason::{Component, Reason};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer to a probe, as the host hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResponse {
    /// Such as 200; 0 when there was no answer at all.
    pub status: u16,
    /// Who answered.
    pub source: ReplySource,
    /// The body's first [`BODY_LIMIT`] bytes.
    pub body: Vec<u8>,
}

/// Who made a response up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplySource {
    /// The replica itself: the response carries `x-envoy-upstream-service-time`.
    Replica,
    /// The proxy, in the replica's stead.
    Proxy,
}

/// So much of a body is read, in bytes. A JSON body longer than this does not
/// parse, and so is judged as one that is not JSON.
pub const BODY_LIMIT: usize = 64 * 1024;

/// So many characters of an `Error` text are kept.
pub const TEXT_LIMIT: usize = 512;

/// Why an answer is not that of a healthy replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeFailure {
    /// The kind of thing that is wrong.
    pub reason: Reason,
    /// The part of the registry that the text names.
    pub component: Option<Component>,
    /// The answer's own words, cut to [`TEXT_LIMIT`] characters, control
    /// characters made visible; may be empty.
    pub text: String,
}

impl ProbeFailure {
    /// A failure with the words that go with it.
    pub fn new(reason: Reason, text: &str) -> ProbeFailure {
        let text = visible(text);
        ProbeFailure {
            reason,
            component: Component::named_in(&text),
            text,
        }
    }

    /// All of it in one line.
    pub fn in_one_line(&self) -> String {
        let mut told = self.reason.name().to_owned();
        if let Some(component) = self.component {
            told.push_str(&format!(" [{}]", component.name()));
        }
        if !self.text.is_empty() {
            told.push_str(": ");
            told.push_str(&self.text);
        }
        told
    }
}

/// Judges a response: `Ok` is the answer of a healthy replica.
///
/// # Errors
///
/// What is wrong with it.
pub fn judge(kind: &CheckKind, response: &ProbeResponse) -> Result<(), ProbeFailure> {
    match (kind, response.source) {
        (CheckKind::Tcp, ReplySource::Replica) => Ok(()),
        (CheckKind::Tcp, ReplySource::Proxy) => judge_connection(response),
        (CheckKind::Http { .. }, ReplySource::Proxy) => Err(judge_made_up(response)),
        (CheckKind::Http { statuses, body, .. }, ReplySource::Replica) => {
            judge_answer(statuses, body.as_ref(), response)
        }
    }
}

/// A status that is accepted, and a body that does not contradict it.
fn judge_answer(
    statuses: &[(u16, u16)],
    check: Option<&BodyCheck>,
    response: &ProbeResponse,
) -> Result<(), ProbeFailure> {
    let json: Option<Value> = serde_json::from_slice(&response.body).ok();
    let text = error_text(json.as_ref(), &response.body);
    if !statuses
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&response.status))
    {
        let mut failure = ProbeFailure::new(Reason::Status, &text);
        if failure.text.is_empty() {
            failure.text = format!("status {}", response.status);
        }
        return Err(failure);
    }
    if let Some(check) = check {
        return judge_pointer(check, json.as_ref(), &text);
    }
    let Some(Value::Object(object)) = &json else {
        return Ok(());
    };
    for key in ["Healthy", "Health", "status"] {
        let says = object.get(key).map(says_healthy);
        if let Some(Says::Otherwise) = says {
            let value = object.get(key).map(Value::to_string).unwrap_or_default();
            let said = if text.is_empty() {
                format!("\"{key}\" is {value}")
            } else {
                text
            };
            return Err(ProbeFailure::new(Reason::SaysUnhealthy, &said));
        }
    }
    Ok(())
}

/// The value a check's pointer leads to must be the healthy one.
fn judge_pointer(check: &BodyCheck, json: Option<&Value>, text: &str) -> Result<(), ProbeFailure> {
    let pointer = &check.pointer;
    let Some(json) = json else {
        let said = format!("the body is not JSON, so it has no {pointer}");
        return Err(ProbeFailure::new(Reason::BadBody, &said));
    };
    match json.pointer(pointer) {
        Some(value) if *value == check.healthy => Ok(()),
        Some(_) if !text.is_empty() => Err(ProbeFailure::new(Reason::SaysUnhealthy, text)),
        Some(value) => {
            let said = format!("{pointer} is {value}, not {}", check.healthy);
            Err(ProbeFailure::new(Reason::SaysUnhealthy, &said))
        }
        None => Err(ProbeFailure::new(
            Reason::BadBody,
            &format!("the body has no {pointer}"),
        )),
    }
}

enum Says {
    Healthy,
    Otherwise,
}

/// Whether a value of `Healthy`, `Health` or `status` agrees with a good status.
/// A word nobody knows counts against the replica: found out on the first day,
/// while a sick replica taken for a healthy one is found out by its users.
fn says_healthy(value: &Value) -> Says {
    let agrees = match value {
        Value::Bool(healthy) => *healthy,
        Value::String(word) => {
            let word = word.to_ascii_lowercase();
            HEALTHY_WORDS.contains(&word.as_str())
        }
        Value::Number(number) => number
            .as_u64()
            .is_some_and(|status| status == 1 || (200..400).contains(&status)),
        // Say nothing about health, or nothing we could understand.
        Value::Null | Value::Array(_) | Value::Object(_) => true,
    };
    if agrees {
        Says::Healthy
    } else {
        Says::Otherwise
    }
}

const HEALTHY_WORDS: [&str; 14] = [
    "healthy",
    "ok",
    "up",
    "true",
    "pass",
    "passing",
    "ready",
    "available",
    "green",
    "running",
    "active",
    "alive",
    "success",
    "good",
];

/// The words a body gives for what is wrong; empty when it gives none.
fn error_text(json: Option<&Value>, body: &[u8]) -> String {
    match json {
        Some(Value::Object(object)) => {
            for key in ["Error", "error", "message"] {
                match object.get(key) {
                    Some(Value::String(text)) if !text.is_empty() => return text.clone(),
                    Some(other @ (Value::Object(_) | Value::Array(_))) => return other.to_string(),
                    _ => {}
                }
            }
            String::new()
        }
        Some(_) => String::new(),
        // Not JSON: only what reads as one short text is worth showing.
        None => match std::str::from_utf8(body) {
            Ok(text) if !text.trim_start().starts_with('<') => text.trim().to_owned(),
            _ => String::new(),
        },
    }
}

/// Whether a connection could be opened, told by what the proxy makes up when
/// the other side does not speak HTTP.
fn judge_connection(response: &ProbeResponse) -> Result<(), ProbeFailure> {
    let failure = judge_made_up(response);
    match failure.reason {
        // Connected, and then: an early end, bytes that are not HTTP, silence. That
        // is no connect timeout: the cluster's is shorter than the probe's.
        Reason::Reset | Reason::NotHttp | Reason::Timeout => Ok(()),
        _ => Err(failure),
    }
}

/// Reads what the proxy's own words say of a probe that got no answer.
fn judge_made_up(response: &ProbeResponse) -> ProbeFailure {
    let text = String::from_utf8_lossy(&response.body);
    let lower = text.to_ascii_lowercase();
    let said = |words: &&(Reason, &[&str])| words.1.iter().any(|word| lower.contains(word));
    let reason = match response.status {
        504 => Reason::Timeout,
        // The host gave the answer up half-way.
        0 => Reason::Reset,
        _ => PROXY_WORDS
            .iter()
            .find(said)
            .map_or(Reason::ProxyError, |(reason, _)| *reason),
    };
    let said = said_by_proxy(&text);
    ProbeFailure::new(
        reason,
        if said.is_empty() {
            "no complete answer"
        } else {
            said
        },
    )
}

/// What proxies say, the most telling first: a certificate's failure is also one
/// of TLS, and that one of the connection.
const PROXY_WORDS: [(Reason, &[&str]); 9] = [
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

/// The telling end of the proxy's standard sentence.
fn said_by_proxy(text: &str) -> &str {
    let mut told = text;
    for mark in ["reset reason: ", "transport failure reason: "] {
        if let Some((_, rest)) = told.split_once(mark) {
            told = rest;
        }
    }
    told.trim()
}

/// Cuts a text to [`TEXT_LIMIT`] characters and makes control characters visible,
/// so that it can neither break a line of the log nor fill it.
pub fn visible(text: &str) -> String {
    let mut shown = String::new();
    for (count, letter) in text.chars().enumerate() {
        if count >= TEXT_LIMIT {
            shown.push('…');
            break;
        }
        if letter.is_control() || is_invisible(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Marks that turn the direction of the text around them, and line separators.
const fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn http(body: Option<BodyCheck>) -> CheckKind {
        CheckKind::Http {
            scheme: "https".to_owned(),
            path: "/_ping".to_owned(),
            statuses: vec![(200, 200), (401, 401)],
            headers: Vec::new(),
            body,
        }
    }

    fn replica(status: u16, body: impl Into<Vec<u8>>) -> ProbeResponse {
        ProbeResponse {
            status,
            source: ReplySource::Replica,
            body: body.into(),
        }
    }

    fn proxy(status: u16, body: &str) -> ProbeResponse {
        ProbeResponse {
            status,
            source: ReplySource::Proxy,
            body: body.into(),
        }
    }

    fn reason(kind: &CheckKind, response: &ProbeResponse) -> Option<Reason> {
        judge(kind, response).err().map(|failure| failure.reason)
    }

    #[test]
    fn status_and_body_decide() {
        let bad = Some(Reason::SaysUnhealthy);
        let cases: [(&str, u16, &str, Option<Reason>); 24] = [
            (
                "the seed's healthy answer",
                200,
                r#"{"Error":"","Healthy":true}"#,
                None,
            ),
            (
                "the seed's sick answer",
                503,
                r#"{"Error":"garant: down","Healthy":false}"#,
                Some(Reason::Status),
            ),
            (
                "200 that says otherwise",
                200,
                r#"{"Error":"x","Healthy":false}"#,
                bad,
            ),
            (
                "503 that says healthy",
                503,
                r#"{"Healthy":true}"#,
                Some(Reason::Status),
            ),
            ("the old key", 200, r#"{"Health":true}"#, None),
            ("the old key, sick", 200, r#"{"Health":false}"#, bad),
            ("a word", 200, r#"{"status":"healthy"}"#, None),
            ("a word in capitals", 200, r#"{"status":"OK"}"#, None),
            (
                "Harbor's sick answer",
                200,
                r#"{"status":"unhealthy"}"#,
                bad,
            ),
            ("a word nobody knows", 200, r#"{"status":"degraded"}"#, bad),
            ("a status as number", 200, r#"{"status":200}"#, None),
            ("a bad status as number", 200, r#"{"status":503}"#, bad),
            ("null says nothing", 200, r#"{"Healthy":null}"#, None),
            (
                "another accepted status",
                401,
                r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#,
                None,
            ),
            ("a redirect is not accepted", 302, "", Some(Reason::Status)),
            ("no body", 200, "", None),
            ("not JSON", 200, "OK", None),
            ("an HTML page", 200, "<html>Healthy: false</html>", None),
            (
                "JSON of another shape",
                200,
                r#"[1,2,{"Healthy":false}]"#,
                None,
            ),
            ("a bare false", 200, "false", None),
            ("cut JSON", 200, r#"{"Healthy":fal"#, None),
            ("an empty object", 200, "{}", None),
            (
                "a key twice: the last counts",
                200,
                r#"{"Healthy":true,"Healthy":false}"#,
                bad,
            ),
            ("no status", 0, "", Some(Reason::Status)),
        ];
        for (why, status, body, expected) in cases {
            assert_eq!(
                reason(&http(None), &replica(status, body)),
                expected,
                "{why}: {status} {body}"
            );
        }
    }

    #[test]
    fn strange_bodies_break_nothing() {
        let deep = "[".repeat(30_000);
        let bodies: [(&str, Vec<u8>); 5] = [
            ("not UTF-8", vec![0xff, 0xfe, 0x00, 0x80]),
            ("compressed", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
            ("huge", vec![b'x'; BODY_LIMIT]),
            ("deep", deep.into_bytes()),
            ("a long number", vec![b'9'; 20_000]),
        ];
        for (why, body) in bodies {
            assert_eq!(
                reason(&http(None), &replica(200, body.clone())),
                None,
                "{why}: the status decides"
            );
            let failure = judge(&http(None), &replica(503, body.clone())).unwrap_err();
            assert_eq!(failure.reason, Reason::Status, "{why}");
            assert!(
                failure.text.chars().count() <= TEXT_LIMIT + 1,
                "{why}: {}",
                failure.text
            );
            let pointer = BodyCheck {
                pointer: "/status".to_owned(),
                healthy: json!("ok"),
            };
            let expected = Some(Reason::BadBody);
            assert_eq!(
                reason(&http(Some(pointer)), &replica(200, body)),
                expected,
                "{why}: a required value is missing"
            );
        }
    }

    #[test]
    fn a_pointer_leads_to_the_value_that_counts() {
        let check = |pointer: &str, healthy: Value| {
            http(Some(BodyCheck {
                pointer: pointer.to_owned(),
                healthy,
            }))
        };
        let harbor = check("/status", json!("healthy"));
        let nested = check("/data/services/0/up", json!(true));
        let cases = [
            (&harbor, r#"{"status":"healthy","components":[]}"#, None),
            (
                &harbor,
                r#"{"status":"unhealthy"}"#,
                Some(Reason::SaysUnhealthy),
            ),
            (&harbor, r#"{"state":"healthy"}"#, Some(Reason::BadBody)),
            (&harbor, "healthy", Some(Reason::BadBody)),
            (&nested, r#"{"data":{"services":[{"up":true}]}}"#, None),
            (
                &nested,
                r#"{"data":{"services":[{"up":1}]}}"#,
                Some(Reason::SaysUnhealthy),
            ),
            (
                &nested,
                r#"{"Healthy":false,"data":{"services":[{"up":true}]}}"#,
                None,
            ),
        ];
        for (kind, body, expected) in cases {
            assert_eq!(reason(kind, &replica(200, body)), expected, "{body}");
        }
    }

    #[test]
    fn the_error_text_is_kept_and_its_component_named() {
        let sick = replica(
            503,
            r#"{"Error":"rethinkdb: no\nprimary \u202e for \u0000 table","Healthy":false}"#,
        );
        let failure = judge(&http(None), &sick).unwrap_err();
        assert_eq!(failure.component, Some(Component::Rethinkdb));
        assert_eq!(
            failure.text,
            r"rethinkdb: no\u{a}primary \u{202e} for \u{0} table"
        );

        let long = json!({ "Error": "ä".repeat(600) }).to_string();
        let failure = judge(&http(None), &replica(503, long)).unwrap_err();
        assert_eq!(
            failure.text.chars().count(),
            TEXT_LIMIT + 1,
            "cut on a character, and it shows"
        );
    }

    /// The bodies are those of Envoy 1.40, with and without its runtime switch that
    /// hides the transport's failure; the host says the same.
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
        for (status, words, expected, is_down) in cases {
            let response = proxy(status, &format!("{frame}{words}"));
            assert_eq!(reason(&http(None), &response), Some(expected), "{words}");
            assert_eq!(
                reason(&CheckKind::Tcp, &response).is_some(),
                is_down,
                "a bare connection, {words}"
            );
        }
        let timeout = proxy(504, "upstream request timeout");
        assert_eq!(reason(&http(None), &timeout), Some(Reason::Timeout));
        assert_eq!(
            reason(&http(None), &proxy(503, "no healthy upstream")),
            Some(Reason::NoAddress)
        );
        assert_eq!(reason(&http(None), &proxy(0, "")), Some(Reason::Reset));
        assert_eq!(
            reason(&http(None), &proxy(200, "")),
            Some(Reason::ProxyError),
            "even 200"
        );
        assert_eq!(
            reason(&CheckKind::Tcp, &replica(500, "")),
            None,
            "whoever answers is connected"
        );
        let told = judge(&http(None), &proxy(503, &format!("{frame}{refused}"))).unwrap_err();
        assert_eq!(
            told.text, "delayed connect error: Connection refused",
            "only the telling end"
        );
    }
}

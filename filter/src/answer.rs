//! What a replica answered, and whether that is the answer of a healthy one.

use crate::config::{BodyCheck, CheckKind};
use crate::reason::{Component, Reason};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer to a probe, as the host hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Such as 200; 0 when there was no answer at all.
    pub status: u16,
    /// Who answered.
    pub from: From,
    /// The body's first [`BODY_LIMIT`] bytes.
    pub body: Vec<u8>,
}

/// Who made a reply up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The replica itself: the reply carries `x-envoy-upstream-service-time`.
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
pub struct Finding {
    /// The kind of thing that is wrong.
    pub reason: Reason,
    /// The part of the registry that the text names.
    pub component: Option<Component>,
    /// The answer's own words, cut to [`TEXT_LIMIT`] characters, control
    /// characters made visible; may be empty.
    pub text: String,
}

impl Finding {
    /// A finding with the words that go with it.
    pub fn new(reason: Reason, text: &str) -> Finding {
        let text = visible(text);
        Finding {
            reason,
            component: Component::named_in(&text),
            text,
        }
    }
}

/// Judges a reply: `Ok` is the answer of a healthy replica.
///
/// # Errors
///
/// What is wrong with it.
pub fn judge(kind: &CheckKind, reply: &Reply) -> Result<(), Finding> {
    match (kind, reply.from) {
        (CheckKind::Tcp, From::Replica) => Ok(()),
        (CheckKind::Tcp, From::Proxy) => judge_connection(reply),
        (CheckKind::Http { .. }, From::Proxy) => Err(judge_made_up(reply)),
        (CheckKind::Http { statuses, body, .. }, From::Replica) => {
            judge_answer(statuses, body.as_ref(), reply)
        }
    }
}

/// A status that is accepted, and a body that does not contradict it.
fn judge_answer(
    statuses: &[(u16, u16)],
    check: Option<&BodyCheck>,
    reply: &Reply,
) -> Result<(), Finding> {
    let json: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let text = error_text(json.as_ref(), &reply.body);
    if !statuses
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&reply.status))
    {
        let mut finding = Finding::new(Reason::Status, &text);
        if finding.text.is_empty() {
            finding.text = format!("status {}", reply.status);
        }
        return Err(finding);
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
            return Err(Finding::new(Reason::SaysUnhealthy, &said));
        }
    }
    Ok(())
}

/// The value a check's pointer leads to must be the healthy one.
fn judge_pointer(check: &BodyCheck, json: Option<&Value>, text: &str) -> Result<(), Finding> {
    let pointer = &check.pointer;
    let Some(json) = json else {
        let said = format!("the body is not JSON, so it has no {pointer}");
        return Err(Finding::new(Reason::BadBody, &said));
    };
    match json.pointer(pointer) {
        Some(value) if *value == check.healthy => Ok(()),
        Some(_) if !text.is_empty() => Err(Finding::new(Reason::SaysUnhealthy, text)),
        Some(value) => {
            let said = format!("{pointer} is {value}, not {}", check.healthy);
            Err(Finding::new(Reason::SaysUnhealthy, &said))
        }
        None => Err(Finding::new(
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
fn judge_connection(reply: &Reply) -> Result<(), Finding> {
    let finding = judge_made_up(reply);
    match finding.reason {
        // Connected, and then: silence, an early end, bytes that are not HTTP.
        Reason::Timeout | Reason::Reset => Ok(()),
        Reason::ProxyError if reply.status == 502 => Ok(()),
        _ => Err(finding),
    }
}

/// Reads what the proxy's own words say of a probe that got no answer.
fn judge_made_up(reply: &Reply) -> Finding {
    let text = String::from_utf8_lossy(&reply.body);
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    // From the most telling to the least: a certificate's failure is also one of
    // TLS, and that one of the connection.
    let reason = if has(&["certificate_verify_failed", "certificate verify failed"]) {
        Reason::Certificate
    } else if has(&["tls_error", "tls error", "ssl routines"]) {
        Reason::Tls
    } else if has(&["connection timeout", "connect timeout"]) {
        Reason::ConnectTimeout
    } else if reply.status == 504 || reply.status == 0 {
        Reason::Timeout
    } else if has(&["no healthy upstream", "no address", "no endpoint", "dns"]) {
        Reason::NoAddress
    } else if has(&["protocol error"]) {
        Reason::ProxyError
    } else if has(&[
        "refused",
        "unreachable",
        "remote connection failure",
        "connection failure",
    ]) {
        Reason::Refused
    } else if has(&["connection termination", "reset", "disconnect"]) {
        Reason::Reset
    } else {
        Reason::ProxyError
    };
    Finding::new(reason, &said_by_proxy(&text))
}

/// The telling end of the proxy's standard sentence.
fn said_by_proxy(text: &str) -> String {
    let mut told = text;
    for mark in ["reset reason: ", "transport failure reason: "] {
        if let Some((_, rest)) = told.split_once(mark) {
            told = rest;
        }
    }
    // Some proxies say the same thing twice: `delayed connect error: X|X`.
    told.trim().to_owned()
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

//! What a balancer asks of its instances.

use std::time::Duration;

use super::json::Node;
use super::names;
use crate::import::error::ImportError;
use crate::import::found::{At, Check, CheckKind, Verify};
use crate::import::note::Notes;
use crate::import::number;

/// Reads a `HealthCheck`.
///
/// # Errors
/// Its target or a number can't be read.
pub(super) fn read(node: &Node<'_>, notes: &mut Notes) -> Result<At<Check>, ImportError> {
    let Some(target) = node.get("Target") else {
        return Err(node.error("this health check has no \"Target\", such as HTTPS:443/_ping"));
    };
    let (kind, port) = self::target(&target, notes)?;
    let mut check = Check {
        port: Some(port),
        ..Check::new(kind)
    };
    for (field, value) in node.fields() {
        let place = value.place();
        let became = match field {
            "Target" => continue,
            "Interval" => {
                let seconds = value.number(1, 3600)?;
                check.interval = Some(Duration::from_secs(seconds.into()));
                format!("\"interval\": \"{seconds}s\"")
            }
            "Timeout" => {
                let seconds = value.number(1, 3600)?;
                check.timeout = Some(Duration::from_secs(seconds.into()));
                let least = match seconds {
                    ..=LEAST_TIMEOUT => "; AWS allows no less than 2 s, and here it may be shorter",
                    _ => "",
                };
                format!("\"timeout\": \"{seconds}s\"{least}")
            }
            "HealthyThreshold" => {
                let count = value.number(1, 1000)?;
                check.rise = Some(count.into());
                format!("\"rise\": {count}")
            }
            "UnhealthyThreshold" => {
                let count = value.number(1, 1000)?;
                check.fall = Some(count.into());
                format!("\"fall\": {count}")
            }
            _ => {
                let reason = names::reason(field).unwrap_or("not known here");
                notes.not_taken(&place, format!("{field}: {reason}"));
                continue;
            }
        };
        notes.taken(&place, format!("{field}: {became}"));
    }
    let place = node.place();
    let value = check;
    Ok(At { value, place })
}

/// Reads `PROTOCOL:PORT` or `PROTOCOL:PORT/PATH`.
fn target(node: &Node<'_>, notes: &mut Notes) -> Result<(CheckKind, u16), ImportError> {
    let text = node.text()?;
    let wrong = || {
        node.error(format!(
            "{text:?} is no target of a health check; give one such as HTTPS:443/_ping or TCP:443"
        ))
    };
    let (protocol, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (port, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let port = number::port(port).ok_or_else(wrong)?;
    let tls = match (protocol.to_ascii_uppercase().as_str(), path.is_empty()) {
        ("TCP" | "SSL", true) => None,
        ("HTTP", false) => Some(None),
        ("HTTPS", false) => Some(Some(Verify::None)),
        _ => return Err(wrong()),
    };
    let place = node.place();
    let Some(tls) = tls else {
        notes.taken(&place, format!("Target: {text}: \"tcp:{port}\""));
        notes.advice(
            &place,
            format!(
                "Target: {text} only connects, and the registry's guide wants /_ping to be asked: \
                 set \"health\": {{\"target\": \"https:{port}/_ping\"}}"
            ),
        );
        return Ok((CheckKind::Tcp, port));
    };
    notes.taken(
        &place,
        format!("Target: {text}: \"target\", healthy is 200 alone"),
    );
    if path.split('?').next() != Some("/_ping") {
        let text = format!("Target: {text}: the registry's guide wants /_ping to be asked");
        notes.advice(&place, text);
    }
    let kind = CheckKind::Http {
        tls,
        path: path.to_owned(),
        statuses: vec![(200, 200)],
        headers: Vec::new(),
    };
    Ok((kind, port))
}

/// In seconds.
const LEAST_TIMEOUT: u32 = 2;

//! What a replica's body says of its health.

use super::probe_failure::ProbeFailure;
use super::reason::Reason;
use crate::config::BodyCheck;
use serde_json::Value;

/// A body, and the JSON in it.
pub(crate) struct ReplyBody {
    json: Option<Value>,
    /// The text it gives for what is wrong; empty when it gives none.
    pub(crate) error: String,
}

impl ReplyBody {
    pub(crate) fn parse(body: &[u8]) -> ReplyBody {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let error = error_text(json.as_ref(), body);
        ReplyBody { json, error }
    }

    /// The value a check's pointer leads to must be the healthy one.
    ///
    /// # Errors
    ///
    /// What it is instead.
    pub(crate) fn judge_value(&self, check: &BodyCheck) -> Result<(), ProbeFailure> {
        let pointer = &check.pointer;
        let Some(json) = &self.json else {
            let text = format!("the body is not JSON, so it has no {pointer}");
            return Err(ProbeFailure::new(Reason::BadBody, &text));
        };
        let Some(value) = json.pointer(pointer) else {
            let text = format!("the body has no {pointer}");
            return Err(ProbeFailure::new(Reason::BadBody, &text));
        };
        if *value == check.healthy {
            return Ok(());
        }
        Err(self.says_unhealthy(|| format!("{pointer} is {value}, not {}", check.healthy)))
    }

    /// A body may not contradict an accepted status.
    ///
    /// # Errors
    ///
    /// Which of its values does.
    pub(crate) fn judge_usual_keys(&self) -> Result<(), ProbeFailure> {
        let Some(Value::Object(object)) = &self.json else {
            return Ok(());
        };
        for key in ["Healthy", "Health", "status"] {
            if let Some(value) = object.get(key)
                && !is_compatible_with_health(value)
            {
                return Err(self.says_unhealthy(|| format!("\"{key}\" is {value}")));
            }
        }
        Ok(())
    }

    /// With the body's own error text, or for want of it with another.
    fn says_unhealthy(&self, otherwise: impl FnOnce() -> String) -> ProbeFailure {
        if self.error.is_empty() {
            ProbeFailure::new(Reason::SaysUnhealthy, &otherwise())
        } else {
            ProbeFailure::new(Reason::SaysUnhealthy, &self.error)
        }
    }
}

/// Whether a value of `Healthy`, `Health` or `status` agrees with a good status.
/// An unknown word counts against the replica: that is found out on the first day,
/// while an unhealthy replica taken for a healthy one is found out by its users.
fn is_compatible_with_health(value: &Value) -> bool {
    match value {
        Value::Bool(healthy) => *healthy,
        Value::String(word) => {
            let word = word.to_ascii_lowercase();
            HEALTHY.contains(&word.as_str())
        }
        Value::Number(number) => number
            .as_u64()
            .is_some_and(|status| status == 1 || (200..400).contains(&status)),
        // Say nothing about health, or nothing we could understand.
        Value::Null | Value::Array(_) | Value::Object(_) => true,
    }
}

const HEALTHY: [&str; 14] = [
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

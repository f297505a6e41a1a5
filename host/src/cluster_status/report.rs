//! What was said and found, for machines.

use serde_json::{Value, json};

use super::finding::Finding;
use super::findings::Witness;

/// The object that `--json` prints, and `/status` has as `cluster_status`.
#[must_use]
pub fn report(witnesses: &[Witness], found: &[Finding]) -> Value {
    let witnesses: Vec<Value> = witnesses.iter().map(witness).collect();
    json!({ "ok": found.is_empty(), "replicas": witnesses, "findings": found })
}

/// The same where nobody was asked, and why.
#[must_use]
pub fn unasked(error: &str) -> Value {
    let mut report = report(&[], &[]);
    report["ok"] = false.into();
    report["error"] = error.into();
    report
}

fn witness(witness: &Witness) -> Value {
    let (says, error) = match &witness.view {
        Ok(view) => (Some(&view.0), None),
        Err(error) => (None, Some(error)),
    };
    let ping = witness.ping.as_ref();
    json!({
        "name": witness.name,
        "id": witness.id,
        "ping": ping.map(|ping| ping.as_ref().err().map_or("OK", String::as_str)),
        "says": says,
        "error": error,
    })
}

//! The presets of health checks, as the reader fills them in.

use dtr_lb::config::{Config, json_schema};
use dtr_lb_filter::config::CheckKind;
use serde_json::json;

use super::kind::meanings;

/// The table of them.
pub(super) fn table() -> String {
    let mut table = String::from("| preset | for | target | healthy |\n|---|---|---|---|\n");
    for (preset, meaning) in meanings(&json_schema()["definitions"][DEFINITION]) {
        let registry = meaning.trim_end_matches('.');
        let (target, healthy) = check(&preset);
        table += &format!("| `{preset}` | {registry} | `{target}` | {healthy} |\n");
    }
    table
}

/// What is probed, and what a healthy answer is.
fn check(preset: &str) -> (String, String) {
    let file = json!({
        "fqdn": "dtr.example.com",
        "replicas": [{ "address": "10.0.0.11" }],
        "health": { "preset": preset },
    });
    let config = Config::parse(&file.to_string(), "lb.json").unwrap();
    let check = &config.checks[0];
    let healthy = match &check.kind {
        CheckKind::Tcp => "a connection can be opened".to_owned(),
        CheckKind::Http { statuses, body, .. } => {
            let ranges = statuses.iter().map(|(first, last)| match first == last {
                true => first.to_string(),
                false => format!("{first} to {last}"),
            });
            let statuses = ranges.collect::<Vec<_>>().join(" or ");
            match body {
                None => statuses,
                Some(body) => format!("{statuses}, and {} at `{}`", body.healthy, body.pointer),
            }
        }
    };
    (check.target(), healthy)
}

pub(super) const HEADING: &str = "Presets";
/// What the schema calls them.
pub(super) const DEFINITION: &str = "Preset";

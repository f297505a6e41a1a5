//! Wrong input of every kind, and the defaults.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod admin;
mod balancer;
mod clients;
mod errors;
mod flags;
mod health;
mod hints;
mod json;
mod listeners;
mod proxies;
mod reading;
mod replicas;
mod schema;
mod services;
mod sweep;
mod warnings;

use super::*;

fn refusal(text: &str) -> String {
    match Config::parse(text, "lb.json") {
        Ok(config) => panic!("accepted: {text}\n{config:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// A whole file around one replica.
fn with(fields: &str) -> String {
    format!(
        r#"{{ "fqdn": "dtr.example.com", "replicas": [{{"address": "10.0.0.11"}}], {fields} }}"#
    )
}

/// A whole file around the given replicas.
fn with_replicas(replicas: &str) -> String {
    format!(r#"{{ "fqdn": "dtr.example.com", "replicas": {replicas} }}"#)
}

/// Each text must be refused with a message that starts as given: file, field,
/// value and remedy.
fn assert_refused(cases: Vec<(String, &str)>) {
    for (text, expected) in cases {
        let message = refusal(&text);
        assert!(
            message.starts_with(expected),
            "{text}\nwas refused with {message}\ninstead of        {expected}"
        );
    }
}

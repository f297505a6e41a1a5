//! What one replica says of all.

use std::collections::BTreeMap;

use dtr_lb_filter::printable::printable;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::unique_map::UniqueMap;

/// What one replica says of all, by their ids in the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View(pub BTreeMap<String, Member>);

/// What is said of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// What is wrong with it; `None`: it is well ("OK").
    pub error: Option<String>,
    /// When it said so itself, Unix seconds; `None`: not said, or not a time.
    pub reported_unix_s: Option<i64>,
}

/// The fields that are read; the answer has others, some 45 KB of them.
#[derive(Deserialize)]
struct Answer {
    replica_health: UniqueMap<String, Value>,
    #[serde(default)]
    replica_timestamp: UniqueMap<String, Value>,
}

impl View {
    /// Reads an answer's body.
    ///
    /// # Errors
    /// It is no JSON of that form, names a replica twice, or has more than 200.
    pub fn read(body: &[u8]) -> Result<View, String> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| {
            let error = printable(&error.to_string());
            format!("its answer is no cluster status ({error})")
        })?;
        let (health, times) = (answer.replica_health.0, answer.replica_timestamp.0);
        if health.len() > MOST_MEMBERS {
            let count = health.len();
            return Err(format!(
                "it names {count} replicas, more than {MOST_MEMBERS}"
            ));
        }
        let member = |(id, health): (String, Value)| {
            let time = times.get(&id).and_then(Value::as_str);
            let time = time.and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
            let member = Member {
                error: error(&health),
                reported_unix_s: time.map(OffsetDateTime::unix_timestamp),
            };
            (printable(&id), member)
        };
        Ok(View(health.into_iter().map(member).collect()))
    }
}

/// What stands in the place of "OK".
fn error(health: &Value) -> Option<String> {
    match health {
        Value::String(text) if text == "OK" => None,
        Value::String(text) => Some(printable(text)),
        other => Some(printable(&other.to_string())),
    }
}

/// A registry has a few; this many are still shown and measured.
const MOST_MEMBERS: usize = 200;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    #[test]
    fn an_answer_is_read_and_all_else_in_it_passed_over() {
        let view = View::read(
            br#"{ "replica_health": { "a1": "OK", "b2": "rethinkdb: down", "c3": null },
                  "replica_timestamp": { "a1": "2017-02-13T21:40:15+01:00", "b2": "soon" },
                  "rethink_system_tables": { "table_status": [1, 2, 3] } }"#,
        );
        let member = |error: Option<&str>, reported_unix_s| Member {
            error: error.map(str::to_owned),
            reported_unix_s,
        };
        let expected = [
            ("a1", member(None, Some(1_487_018_415))),
            ("b2", member(Some("rethinkdb: down"), None)),
            ("c3", member(Some("null"), None)),
        ];
        let expected = expected.map(|(id, member)| (id.to_owned(), member));
        assert_eq!(view.unwrap(), View(expected.into()));
    }

    #[test]
    fn what_is_no_cluster_status_is_refused() {
        let long = format!(r#"{{"replica_health": "{}"}}"#, "x".repeat(100_000));
        let cases = [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"replica_health": 1}"#,
            r#"{"replica_health": {"a": "OK", "a": "down", "a": "OK"}}"#,
            r#"{"replica_health": {"\u001b[31m": 1, "\u001b[31m": 1}}"#,
            &long,
        ];
        for body in cases {
            let refused = View::read(body.as_bytes()).unwrap_err();
            assert!(refused.len() < 1000, "{} bytes", refused.len());
            assert!(!refused.contains(char::is_control), "{refused:?}");
            assert!(
                refused.starts_with("its answer is no cluster status ("),
                "{body}: {refused}"
            );
        }
        let many: BTreeMap<String, &str> = (0..201).map(|id| (id.to_string(), "OK")).collect();
        let body = serde_json::json!({ "replica_health": many }).to_string();
        let refused = View::read(body.as_bytes()).unwrap_err();
        assert_eq!(refused, "it names 201 replicas, more than 200");
    }
}

//! What the JSON reader reports, as an error the operator can act on.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::error::ConfigError;
use super::source::Source;

/// What serde found wrong with the text of a file.
pub(super) fn refusal(
    source: &Source,
    text: &str,
    error: serde_path_to_error::Error<serde_json::Error>,
) -> ConfigError {
    let path = error.path().clone();
    let error = error.into_inner();
    let (line, column) = (error.line(), error.column());
    let message = without_position(&error.to_string());
    if error.is_syntax() || error.is_eof() {
        if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
            // Right JSON of another type where an enum was expected: serde_json calls
            // that a syntax error, too.
            let found = value_at(text, &path).unwrap_or_default();
            return source.refuse(&path.to_string(), found, "expected a string in quotes");
        }
        return source.refuse_all(format!(
            "not JSON at line {line}, column {column}: {message}; check the comma, bracket or quote there"
        ));
    }
    let field = path.to_string();
    if let Some((wrong, known)) = unknown(&message, "unknown field `") {
        return unknown_field(source, &path, &wrong, &known);
    }
    if let Some(missing) = between(&message, "missing field `", "`") {
        let whole = if field == "." {
            missing.to_owned()
        } else {
            format!("{field}.{missing}")
        };
        let problem = format!("missing; {}", remedy_for_missing(missing));
        return source.refuse_field(&whole, problem);
    }
    if let Some(twice) = between(&message, "duplicate field `", "`") {
        return source.refuse_all(format!(
            "line {line}: {twice:?} is given twice; leave one of them"
        ));
    }
    let problem = match unknown(&message, "unknown variant `") {
        Some((wrong, known)) => one_of(&wrong, &known),
        None => match message.split_once(", expected ") {
            Some((_, expected)) => format!("expected {}", json_name(expected)),
            None => message,
        },
    };
    let field = (field != ".").then_some(field.as_str());
    source.error(field, value_at(text, &path).as_ref(), problem)
}

fn unknown_field(source: &Source, path: &Path, wrong: &str, known: &[String]) -> ConfigError {
    let inside = path.to_string();
    let parent = inside
        .strip_suffix(wrong)
        .map_or(inside.as_str(), |parent| parent.trim_end_matches('.'));
    let place = if parent.is_empty() || parent == "." {
        "here".to_owned()
    } else {
        format!("in {parent}")
    };
    let hint = match nearest(wrong, known) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "remove it;".to_owned(),
    };
    source.refuse_all(format!(
        "unknown field {wrong:?} {place}; {hint} known: {}",
        known.join(", ")
    ))
}

/// The known name that is most like the wrong one, when it is like enough.
fn nearest<'a>(wrong: &str, known: &'a [String]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name.as_str()))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// What serde expected, named as in JSON instead of Rust.
fn json_name(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false, without quotes",
        "a sequence" => "a list in brackets",
        "a map" => "an object in braces",
        _ if expected.starts_with("struct ") => "an object in braces",
        _ => expected,
    }
}

fn one_of(wrong: &str, known: &[String]) -> String {
    let list = known.join(", ");
    match nearest(wrong, known) {
        Some(near) => format!("expected one of {list}; did you mean {near:?}?"),
        None => format!("expected one of {list}"),
    }
}

/// Takes serde's ``unknown field `x`, expected one of `a`, `b` `` apart.
fn unknown(message: &str, start: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix(start)?;
    let (wrong, expected) = rest.split_once("`, ")?;
    let known = expected.split('`').skip(1).step_by(2).map(str::to_owned);
    Some((wrong.to_owned(), known.collect()))
}

fn between<'a>(message: &'a str, start: &str, end: &str) -> Option<&'a str> {
    message
        .strip_prefix(start)?
        .split_once(end)
        .map(|(found, _)| found)
}

fn without_position(message: &str) -> String {
    match message.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => message.to_owned(),
    }
}

fn value_at(text: &str, path: &Path) -> Option<Value> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    for segment in path {
        value = match segment {
            Segment::Seq { index } => value.get_mut(*index)?.take(),
            Segment::Map { key } => value.get_mut(key.as_str())?.take(),
            Segment::Enum { .. } | Segment::Unknown => return Some(value),
        };
    }
    Some(value)
}

fn remedy_for_missing(field: &str) -> &'static str {
    match field {
        "fqdn" => r#"give the registry's name, such as "dtr.example.com""#,
        "replicas" => r#"list them, such as [{"address": "10.0.0.11"}]"#,
        "address" => "give the replica's IP address or DNS name",
        "bind" => r#"give an address and a port, such as "0.0.0.0:443""#,
        "pointer" => r#"give a JSON pointer, such as "/status""#,
        "healthy" => "give the value a healthy answer has there",
        _ => "add it",
    }
}

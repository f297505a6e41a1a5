//! What is wrong with a value, as an error the operator can act on.

use super::node::Entry;
use crate::config::address::WHERE_PORTS_GO;
use crate::config::source::Source;

/// What was expected of a field.
pub(super) fn expected(field: &str, expected: &str, source: &Source) -> String {
    let expected = match source {
        Source::Flags => expected_of_flag(expected),
        Source::File(_) => json_name(expected).to_owned(),
    };
    match remedy_for(field) {
        Some(remedy) => format!("expected {expected}; {remedy}"),
        None => format!("expected {expected}"),
    }
}

pub(super) fn one_of(wrong: &str, known: &[&str]) -> String {
    let list = known.join(", ");
    match nearest(wrong, known) {
        Some(near) => format!("expected one of {list}; did you mean {near:?}?"),
        None => format!("expected one of {list}"),
    }
}

/// A field that its object does not have. `near` is the one probably meant.
pub(super) fn unknown_field(
    object: &str,
    wrong: &str,
    near: Option<&str>,
    known: &[&str],
) -> String {
    let place = match object {
        "" => "here".to_owned(),
        _ => format!("in {object}"),
    };
    let hint = match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => "remove it;".to_owned(),
    };
    let known = known.join(", ");
    format!("unknown field {wrong:?} {place}; {hint} known: {known}")
}

/// A field of several services in the file of one registry.
pub(super) fn goes_with_services(name: &str) -> String {
    format!("unknown field {name:?} here; it goes with \"services\", a list of registries")
}

/// An entry whose name its object has already, and where it is.
pub(super) fn given_twice(entry: &Entry) -> (usize, String) {
    let Entry { name, line, .. } = entry;
    let problem = format!("line {line}: {name:?} is given twice; leave one of them");
    (entry.value.offset, problem)
}

/// The name a map's own reader found twice.
pub(super) fn duplicate(message: &str) -> Option<&str> {
    let name = message.strip_prefix("duplicate field `")?;
    name.strip_suffix('`')
}

pub(super) fn remedy_for_missing(field: &str) -> &'static str {
    match field {
        "fqdn" => r#"give the registry's name, such as "dtr.example.com""#,
        "services" => {
            r#"list them, such as [{"fqdn": "dtr.example.com", "replicas": [{"address": "10.0.0.11"}]}]"#
        }
        "replicas" => r#"list them, such as [{"address": "10.0.0.11"}]"#,
        "address" => "give the replica's IP address or DNS name",
        "bind" => r#"give an address and a port, such as "0.0.0.0:443""#,
        "listeners" => r#"list them, such as [{"bind": "0.0.0.0:443", "cluster": "web"}]"#,
        "clusters" => r#"list them, such as [{"name": "web", "endpoints": ["10.0.0.11:443"]}]"#,
        "cluster" | "name" => r#"give a cluster's name, such as "web""#,
        "endpoints" => r#"list them, such as ["10.0.0.11:443"]"#,
        "wasm" => "give the path of the module",
        "pointer" => r#"give a JSON pointer, such as "/status""#,
        "healthy" => "give the value a healthy answer has there",
        _ => "add it",
    }
}

/// The known name that is most like the wrong one, when it is like enough.
pub(in crate::config) fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(&wrong, name), *name))
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

/// The same for who writes no JSON.
fn expected_of_flag(expected: &str) -> String {
    let unquoted = expected.strip_suffix(", without quotes");
    let ports = " (it is reached on the port that a listener leads to, --listen BIND=PORT; where \
                 its own differs, write a file, --config)";
    unquoted.unwrap_or(expected).replace(WHERE_PORTS_GO, ports)
}

/// What else can be said of a time that may be left out.
fn remedy_for(field: &str) -> Option<&'static str> {
    match field {
        "idle_timeout" => Some("left out, a connection may be silent for ever"),
        "half_close_timeout" => Some("there is always a limit; left out, it is 1h"),
        _ => None,
    }
}

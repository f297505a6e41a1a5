//! Rules by which a frontend chooses a backend.

use std::collections::BTreeMap;

use super::line::Line;
use super::section::Section;
use super::source::Source;
use crate::import::error::ImportError;

/// A `use_backend` line.
#[derive(Debug)]
pub(super) struct Rule<'a> {
    pub(super) line: &'a Line,
    pub(super) backend: &'a str,
    pub(super) condition: Condition<'a>,
}

/// When a rule applies.
#[derive(Debug)]
pub(super) enum Condition<'a> {
    Always,
    /// The client's TLS handshake asks for one of these names; `*.` stands before the
    /// end of names.
    Named {
        names: Vec<String>,
        /// Where the condition has its name.
        acl: Option<&'a Line>,
    },
    /// Something else.
    Other,
}

/// The rules of a section, in its order.
///
/// # Errors
/// A rule names no backend.
pub(super) fn rules<'a>(
    source: &Source<'_>,
    section: &'a Section,
) -> Result<Vec<Rule<'a>>, ImportError> {
    // Lines of one name add to each other; only those that stand alone are understood.
    let mut acls: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in section.lines.iter().filter(|line| line.text(0) == "acl") {
        acls.entry(line.text(1)).or_default().push(line);
    }
    let lines = section.lines.iter();
    lines
        .filter(|line| line.text(0) == "use_backend")
        .map(|line| {
            let computed = line.text(1).contains("%[");
            Ok(Rule {
                line,
                backend: match computed {
                    true => "",
                    false => source.value(line, 1, "the name of a backend")?,
                },
                condition: match computed {
                    true => Condition::Other,
                    false => condition(line, &acls),
                },
            })
        })
        .collect()
}

fn condition<'a>(line: &'a Line, acls: &BTreeMap<&str, Vec<&'a Line>>) -> Condition<'a> {
    let words: Vec<&str> = line.rest(2).iter().map(|word| word.text.as_str()).collect();
    match words.as_slice() {
        [] | ["if", "TRUE"] => Condition::Always,
        ["if", "{", test @ .., "}"] if !test.contains(&"}") => named(test, None),
        ["if", name] => match acls.get(name).map(Vec::as_slice) {
            Some([acl]) => {
                let test: Vec<&str> = acl.rest(2).iter().map(|word| word.text.as_str()).collect();
                named(&test, Some(acl))
            }
            _ => Condition::Other,
        },
        _ => Condition::Other,
    }
}

/// `req.ssl_sni [-i] [-m str|end] NAME...`
fn named<'a>(test: &[&'a str], acl: Option<&'a Line>) -> Condition<'a> {
    let (fetch, mut values) = match test {
        [fetch, values @ ..] => (*fetch, values),
        [] => return Condition::Other,
    };
    if !SNI.contains(&fetch) {
        return Condition::Other;
    }
    let mut by_end = false;
    loop {
        values = match values {
            ["-i", rest @ ..] => rest,
            ["-m", method @ ("str" | "end"), rest @ ..] => {
                by_end = *method == "end";
                rest
            }
            ["--", rest @ ..] => {
                values = rest;
                break;
            }
            _ => break,
        };
    }
    let is_name = |name: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !name.is_empty() && name.len() <= 253 && !name.starts_with('-') && name.bytes().all(plain)
    };
    let ends = values.iter().map(|value| value.strip_prefix('.'));
    let mut bare = values.iter().zip(ends).map(|(value, end)| match by_end {
        true => end.unwrap_or(value),
        false => value,
    });
    match !values.is_empty() && bare.all(|name| is_name(&name)) {
        true => Condition::Named {
            names: match by_end {
                true => values.iter().flat_map(|end| names_with(end)).collect(),
                false => values.iter().map(|name| (*name).to_owned()).collect(),
            },
            acl,
        },
        false => Condition::Other,
    }
}

/// The names that end so, as "names" of "services" has them.
fn names_with(end: &str) -> Vec<String> {
    match end.strip_prefix('.') {
        Some(parent) => vec![format!("*.{parent}")],
        None => vec![end.to_owned(), format!("*.{end}")],
    }
}

/// The name in the client's TLS handshake.
const SNI: [&str; 4] = [
    "req.ssl_sni",
    "req_ssl_sni",
    "req.ssl_sni,lower",
    "req_ssl_sni,lower",
];

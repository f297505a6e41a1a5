//! What is wrong with a text that is no JSON.

/// What is wrong, where, and what to do.
pub(super) fn problem(text: &str, error: &serde_json::Error) -> String {
    if text.trim().is_empty() {
        return r#"there is nothing in it; the shortest configuration is {"fqdn": "dtr.example.com", "replicas": [{"address": "10.0.0.11"}]}"#.to_owned();
    }
    if is_yaml(text) {
        return r#"this looks like YAML, and the configuration is JSON; write it such as {"fqdn": "dtr.example.com", "replicas": [{"address": "10.0.0.11"}]}"#.to_owned();
    }
    let (line, column) = (error.line(), error.column());
    let place =
        |(line, column): (usize, usize)| format!("not JSON at line {line}, column {column}");
    match Fault::first(text) {
        Some(fault) if fault.place(text) <= (line, column) => {
            format!("{}: {}", place(fault.place(text)), fault.problem)
        }
        _ => format!(
            "{}: {}; check the comma, bracket or quote there",
            place((line, column)),
            without_position(error)
        ),
    }
}

/// What other formats allow and JSON does not.
struct Fault {
    /// In bytes.
    at: usize,
    problem: &'static str,
}

impl Fault {
    fn first(text: &str) -> Option<Fault> {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let problem = match byte {
                b'"' => {
                    at = end_of_string(bytes, at);
                    continue;
                }
                b'#' => Some(COMMENT),
                b'/' if matches!(bytes.get(at + 1), Some(b'/' | b'*')) => Some(COMMENT),
                b'\'' => Some("a single quote; JSON has double quotes"),
                b',' => {
                    let rest = bytes.get(at + 1..).unwrap_or_default();
                    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
                    let is_last = matches!(next, Some(b'}' | b']'));
                    is_last.then_some("a comma before the closing bracket; remove it")
                }
                _ => None,
            };
            if let Some(problem) = problem {
                return Some(Fault { at, problem });
            }
            at += 1;
        }
        None
    }

    /// Line and column, from 1, in bytes as serde_json counts them.
    fn place(&self, text: &str) -> (usize, usize) {
        let before = text.as_bytes().get(..self.at).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            .count()
            + 1;
        (line, column)
    }
}

/// Just behind a string that starts here.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => at += 1,
            _ => {}
        }
    }
    at
}

/// Whether the first line that says something is a YAML mapping's, or begins a document.
fn is_yaml(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.find(|line| !line.is_empty() && !line.trim_start().starts_with('#'));
    first.is_some_and(|line| {
        let is_name = |name: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte);
            !name.is_empty() && name.bytes().all(allowed)
        };
        let key = line
            .split_once(':')
            .filter(|(_, value)| value.is_empty() || value.starts_with(' '));
        line == "---" || key.is_some_and(|(name, _)| is_name(name))
    })
}

/// What the error says, without the place behind it.
pub(crate) fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => message,
    }
}

const COMMENT: &str = "a comment, which JSON does not have; remove it";

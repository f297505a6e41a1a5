//! Reads a text as one JSON value.

use serde::Deserialize;
use serde_json::Value;

use super::node::{Entry, Json, Node, Presence};
use super::syntax;
use crate::config::error::ConfigErrors;
use crate::config::problems::Problems;
use crate::config::source::Source;

/// Reads a whole text as one JSON value. What is wrong after its end is among the
/// problems already.
///
/// # Errors
/// It is no JSON.
pub(in crate::config) fn parse(text: &str, source: &Source) -> Result<Problems, ConfigErrors> {
    let mut json = serde_json::Deserializer::from_str(text);
    // Once, so that all below may rely on it; it refuses what is nested too deeply.
    Value::deserialize(&mut json)
        .map_err(|error| source.refuse_all(syntax::problem(text, &error)))?;
    let root = Scanner {
        text,
        at: 0,
        line: 1,
    }
    .node();
    let mut problems = Problems::new(source.clone(), root);
    if let Err(error) = json.end() {
        problems.refuse_end(format!(
            "more text after the end of the configuration, at line {}, column {}; remove it",
            error.line(),
            error.column()
        ));
    }
    Ok(problems)
}

/// Walks over a text that is known to be JSON. Whatever it met in any other, it would
/// come to the end.
struct Scanner<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    /// From 1.
    line: usize,
}

impl Scanner<'_> {
    fn node(&mut self) -> Node {
        let offset = self.skip_space();
        let json = match self.peek() {
            Some(b'{') => {
                let mut entries = Vec::new();
                while self.goes_on(b'}') {
                    entries.push(self.entry());
                }
                Json::Object(entries)
            }
            Some(b'[') => {
                let mut items = Vec::new();
                while self.goes_on(b']') {
                    items.push(self.node());
                }
                Json::List(items)
            }
            Some(b'"') => Json::Scalar(Value::String(self.string())),
            _ => Json::Scalar(self.word()),
        };
        Node { offset, json }
    }

    fn entry(&mut self) -> Entry {
        self.skip_space();
        let line = self.line;
        let name = self.string();
        self.skip_space();
        // The colon.
        self.at += 1;
        Entry {
            name,
            value: self.node(),
            line,
            presence: Presence::Kept,
        }
    }

    /// Passes the bracket or comma here; whether something other than the end follows.
    fn goes_on(&mut self, end: u8) -> bool {
        self.skip_space();
        if self.peek() != Some(end) {
            self.at += 1;
            self.skip_space();
        }
        match self.peek() {
            Some(byte) if byte != end => true,
            _ => {
                self.at += 1;
                false
            }
        }
    }

    fn string(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        serde_json::from_str(self.since(start)).unwrap_or_default()
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Value {
        let start = self.at;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        while self.peek().is_some_and(is_part) {
            self.at += 1;
        }
        serde_json::from_str(self.since(start)).unwrap_or_default()
    }

    fn skip_space(&mut self) -> usize {
        while let Some(byte) = self.peek().filter(u8::is_ascii_whitespace) {
            self.line += usize::from(byte == b'\n');
            self.at += 1;
        }
        self.at
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn since(&self, start: usize) -> &str {
        self.text.get(start..self.at).unwrap_or_default()
    }
}

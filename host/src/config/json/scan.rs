//! Where the values of a JSON text stand.

use serde_json::Value;

use super::node::{Entry, Json, Node, Presence};

/// The value that begins at a byte of a text, or behind the space there. A
/// [`serde_json::Value`] must have been read there before: this finds no errors, and
/// goes as deep as the text does.
pub(crate) fn scan(text: &str, at: usize) -> Node {
    let line = 1;
    Scanner { text, at, line }.node()
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

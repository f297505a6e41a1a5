//! JSON whose values know where they stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::super::error::ImportError;
use super::super::note::Place;

/// The text of a file, and where its lines begin.
pub(super) struct Document<'a> {
    file: Arc<str>,
    text: &'a str,
    /// In bytes.
    lines: Vec<usize>,
}

impl<'a> Document<'a> {
    pub(super) fn new(file: &str, text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Document {
            file: file.into(),
            text,
            lines: std::iter::once(0).chain(ends).collect(),
        }
    }

    /// The values of the file, one after the other.
    ///
    /// # Errors
    /// It is no JSON.
    pub(super) fn values(&self) -> Result<Vec<Node<'_>>, ImportError> {
        let values = serde_json::Deserializer::from_str(self.text).into_iter::<&RawValue>();
        let mut nodes = Vec::new();
        for value in values.take(MOST_VALUES + 1) {
            let value = value.map_err(|error| self.syntax_error(&error))?;
            nodes.push(self.node(value));
        }
        match nodes.get(MOST_VALUES) {
            Some(extra) => Err(extra.error(format!("more than {MOST_VALUES} values in one file"))),
            None => Ok(nodes),
        }
    }

    fn node(&self, value: &RawValue) -> Node<'_> {
        // Serde lends a part of the text itself.
        let start = (value.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let raw = self.text.get(start..start + value.get().len());
        Node {
            document: self,
            start,
            raw: raw.unwrap_or_default(),
        }
    }

    fn syntax_error(&self, error: &serde_json::Error) -> ImportError {
        let message = error.to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(&*message, |(message, _)| message);
        let begin = self
            .lines
            .get(error.line().saturating_sub(1))
            .copied()
            .unwrap_or_default();
        // Behind the last character when there should be more, else at the wrong one.
        let wrong = usize::from(!error.is_eof());
        let end = (begin + error.column().saturating_sub(wrong)).min(self.text.len());
        self.error_at(
            end,
            format!("not JSON: {message}; check the comma, bracket or quote there"),
        )
    }

    /// `at` is a byte of the text.
    fn error_at(&self, at: usize, problem: String) -> ImportError {
        let line = self.line(at);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self.text.as_bytes().get(begin..at).unwrap_or_default();
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        let file = Arc::clone(&self.file);
        ImportError::at(&Place { file, line }, self.text, column, problem)
    }

    /// Counted from 1.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= at).max(1)
    }
}

/// A value of the file.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    document: &'a Document<'a>,
    /// In bytes, from the start of the file.
    start: usize,
    raw: &'a str,
}

impl<'a> Node<'a> {
    /// The fields of an object, in the file's order; none when it is something else.
    pub(super) fn fields(&self) -> Vec<(String, Node<'a>)> {
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(self.raw).unwrap_or_default();
        let node = |(name, value)| (name, self.document.node(value));
        let mut fields: Vec<(String, Node<'a>)> = fields.into_iter().map(node).collect();
        fields.sort_by_key(|(_, value)| value.start);
        fields
    }

    /// A field of an object.
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        let mut fields = self.fields().into_iter();
        fields.find_map(|(field, value)| (field == name).then_some(value))
    }

    /// The elements of a list.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn items(&self) -> Result<Vec<Node<'a>>, ImportError> {
        match serde_json::from_str::<Vec<&RawValue>>(self.raw) {
            Ok(items) => Ok(items
                .into_iter()
                .map(|item| self.document.node(item))
                .collect()),
            Err(_) => Err(self.unexpected("a list")),
        }
    }

    pub(super) fn is_list(&self) -> bool {
        self.raw.starts_with('[')
    }

    /// A list with nothing in it, or an object of such lists.
    pub(super) fn is_empty(&self) -> bool {
        let is_empty_list = |node: &Node<'_>| {
            let items = node.is_list().then(|| node.items().ok()).flatten();
            items.is_some_and(|items| items.is_empty())
        };
        let is_object = self.raw.starts_with('{');
        is_empty_list(self) || is_object && self.fields().iter().all(|(_, one)| is_empty_list(one))
    }

    /// A text; a number or a truth value as it stands.
    ///
    /// # Errors
    /// It is a list, an object (a function of CloudFormation) or `null`.
    pub(super) fn text(&self) -> Result<String, ImportError> {
        match self.raw.chars().next() {
            Some('"') => serde_json::from_str(self.raw).map_err(|_| self.unexpected("a text")),
            Some('0'..='9' | '-' | 't' | 'f') => Ok(self.raw.to_owned()),
            _ => Err(self.unexpected("a text or a number")),
        }
    }

    /// A whole number in these limits, which may be written as a text.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn number(&self, least: u32, most: u32) -> Result<u32, ImportError> {
        let text = self.text()?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| {
                self.error(format!(
                    "{text:?} is no whole number from {least} to {most}"
                ))
            })
    }

    pub(super) fn place(&self) -> Place {
        Place {
            file: Arc::clone(&self.document.file),
            line: self.document.line(self.start),
        }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> ImportError {
        self.document.error_at(self.start, problem.into())
    }

    fn unexpected(&self, expected: &str) -> ImportError {
        let function = self.fields().into_iter().map(|(name, _)| name).next();
        let function = function.filter(|name| name == "Ref" || name.starts_with("Fn::"));
        match function {
            Some(function) => self.error(format!(
                "{function:?} is a function of CloudFormation, and its value is not known here; put \
                 the value there, or import what `aws elb describe-load-balancers` prints"
            )),
            None => self.error(format!("expected {expected}")),
        }
    }
}

const MOST_VALUES: usize = 100;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    #[test]
    fn values_know_their_lines() {
        let text = "{ \"b\": 1,\n  \"a\": [ {},\n\n \"\u{e9}\" ] }\n{}";
        let document = Document::new("elb.json", text);
        let values = document.values().unwrap();
        assert_eq!(values.len(), 2);
        let fields = values[0].fields();
        let lines: Vec<(&str, usize)> = (fields.iter())
            .map(|(name, value)| (name.as_str(), value.place().line))
            .collect();
        assert_eq!(lines, [("b", 1), ("a", 2)], "in the file's order");
        let items = fields[1].1.items().unwrap();
        assert_eq!(items[1].place().line, 4);
        assert!(items[0].is_empty() && !fields[1].1.is_empty());
        assert_eq!(items[1].text().unwrap(), "\u{e9}");
        let error = values[1].error("bad").to_string();
        assert_eq!(error, "elb.json:5:1: bad\n    {}\n    ^");
    }

    #[test]
    fn broken_json_is_shown_where_it_breaks() {
        let cases = [
            (
                "{ \"a\": 1,\n  \"b\": x }",
                "elb.json:2:8: not JSON: expected value",
            ),
            (
                "{ \"\u{e9}\": 1 \"b\" }",
                "elb.json:1:10: not JSON: expected `,` or `}`",
            ),
            ("{ \"a\": 1", "elb.json:1:9: not JSON: EOF"),
            ("{", "elb.json:1:2: not JSON: EOF"),
        ];
        for (text, expected) in cases {
            let document = Document::new("elb.json", text);
            let error = document.values().map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_may_be_texts_but_not_functions() {
        let text = r#"[ 443, "443", 0, "x", { "Ref": "Port" }, null, true, 1.5 ]"#;
        let document = Document::new("elb.json", text);
        let items = document.values().unwrap()[0].items().unwrap();
        let expected = [
            Ok(443),
            Ok(443),
            Err("\"0\" is no whole number from 1 to 65535"),
            Err("\"x\" is no whole number from 1 to 65535"),
            Err("\"Ref\" is a function of CloudFormation"),
            Err("expected a text or a number"),
            Err("\"true\" is no whole number"),
            Err("\"1.5\" is no whole number"),
        ];
        for (item, expected) in items.iter().zip(expected) {
            match (item.number(1, 65535), expected) {
                (Ok(number), Ok(expected)) => assert_eq!(number, expected),
                (Err(error), Err(expected)) => {
                    assert!(error.problem.starts_with(expected), "{error}");
                }
                (found, _) => panic!("{found:?} instead of {expected:?}"),
            }
        }
    }
}

//! The JSON of a file, with the places of its values.

use std::sync::Arc;

use serde_json::Value;

use crate::config::json::{self, Json};
use crate::import::error::ImportError;
use crate::import::note::Place;
use crate::import::number;

/// The values of a file, and where its lines begin.
pub(super) struct Document<'a> {
    file: Arc<str>,
    text: &'a str,
    /// In bytes.
    lines: Vec<usize>,
    values: Vec<json::Node>,
}

impl<'a> Document<'a> {
    /// Reads a text of one value or several, one after the other.
    ///
    /// # Errors
    /// It is no JSON.
    pub(super) fn read(file: &str, text: &'a str) -> Result<Self, ImportError> {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let mut document = Document {
            file: file.into(),
            text,
            lines: std::iter::once(0).chain(ends).collect(),
            values: Vec::new(),
        };
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        loop {
            let start = values.byte_offset();
            let Some(value) = values.next() else {
                return Ok(document);
            };
            value.map_err(|error| document.syntax_error(&error))?;
            let value = json::scan(text, start);
            if document.values.len() == MOST_VALUES {
                let problem = format!("more than {MOST_VALUES} values in one file");
                return Err(document.error_at(value.offset, problem));
            }
            document.values.push(value);
        }
    }

    pub(super) fn values(&self) -> Vec<Node<'_>> {
        self.values.iter().map(|value| self.node(value)).collect()
    }

    fn node<'d>(&'d self, value: &'d json::Node) -> Node<'d> {
        Node {
            document: self,
            value,
        }
    }

    fn syntax_error(&self, error: &serde_json::Error) -> ImportError {
        let message = json::without_position(error);
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
    value: &'a json::Node,
}

impl<'a> Node<'a> {
    /// The fields of an object, in the file's order; none when it is something else.
    pub(super) fn fields(&self) -> Vec<(&'a str, Node<'a>)> {
        let fields = self.value.kept();
        fields
            .map(|field| (field.name.as_str(), self.document.node(&field.value)))
            .collect()
    }

    /// A field of an object.
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        let mut fields = self.value.kept();
        let field = fields.find(|field| field.name == name)?;
        Some(self.document.node(&field.value))
    }

    /// The elements of a list.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn items(&self) -> Result<Vec<Node<'a>>, ImportError> {
        match &self.value.json {
            Json::List(items) => Ok(items.iter().map(|item| self.document.node(item)).collect()),
            _ => Err(self.unexpected("a list")),
        }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value.json, Json::List(_))
    }

    /// A list with nothing in it, or an object of such lists.
    pub(super) fn is_empty(&self) -> bool {
        let is_empty_list =
            |value: &json::Node| matches!(&value.json, Json::List(items) if items.is_empty());
        let is_object = matches!(self.value.json, Json::Object(_));
        let mut fields = self.value.kept();
        is_empty_list(self.value) || is_object && fields.all(|field| is_empty_list(&field.value))
    }

    /// A text; a number or a truth value as it stands.
    ///
    /// # Errors
    /// It is a list, an object (a function of CloudFormation) or `null`.
    pub(super) fn text(&self) -> Result<String, ImportError> {
        match &self.value.json {
            Json::Scalar(Value::String(text)) => Ok(text.clone()),
            Json::Scalar(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
            _ => Err(self.unexpected("a text or a number")),
        }
    }

    /// A whole number in these limits, which may be written as a text.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn number(&self, least: u32, most: u32) -> Result<u32, ImportError> {
        let text = self.text()?;
        let number = number::digits(&text).and_then(|number| u32::try_from(number).ok());
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
            line: self.document.line(self.value.offset),
        }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> ImportError {
        self.document.error_at(self.value.offset, problem.into())
    }

    fn unexpected(&self, expected: &str) -> ImportError {
        let function = self.fields().into_iter().map(|(name, _)| name).next();
        let function = function.filter(|name| *name == "Ref" || name.starts_with("Fn::"));
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
        let document = Document::read("elb.json", text).unwrap();
        let values = document.values();
        assert_eq!(values.len(), 2);
        let fields = values[0].fields();
        let lines: Vec<(&str, usize)> = (fields.iter())
            .map(|(name, value)| (*name, value.place().line))
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
            let error = Document::read("elb.json", text).map(|_| ());
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_may_be_texts_but_not_functions() {
        let text = r#"[ 443, "443", 0, "x", { "Ref": "Port" }, null, true, 1.5 ]"#;
        let document = Document::read("elb.json", text).unwrap();
        let items = document.values()[0].items().unwrap();
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

//! The text of a haproxy.cfg, and errors that show where in it something is wrong.

use super::line::{Line, Word};
use crate::import::endpoint;
use crate::import::error::ImportError;
use crate::import::note::Place;

/// A file.
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// An error at a character of a line. What follows on a line with a password is
    /// not shown.
    pub(super) fn error(
        &self,
        place: &Place,
        column: usize,
        problem: impl Into<String>,
    ) -> ImportError {
        let mut error = ImportError::at(place, self.text, column, problem);
        if let Some(position) = &mut error.position {
            let secret = ["auth", "password", "hdr"]
                .iter()
                .any(|word| position.text.to_ascii_lowercase().contains(word));
            if secret {
                position.text = hidden(&position.text);
            }
        }
        error
    }

    /// An error at a word, or behind the last one when there is none.
    pub(super) fn wrong(
        &self,
        line: &Line,
        index: usize,
        problem: impl Into<String>,
    ) -> ImportError {
        let last = || line.words.last().map_or(1, end);
        let column = line.words.get(index).map_or_else(last, |word| word.column);
        self.error(&line.place, column, problem)
    }

    /// A word that must be there, and that somebody has filled in.
    ///
    /// # Errors
    /// It is missing (`what` says what it is), or a placeholder.
    pub(super) fn value<'l>(
        &self,
        line: &'l Line,
        index: usize,
        what: &str,
    ) -> Result<&'l str, ImportError> {
        let Some(word) = line.words.get(index) else {
            let problem = format!("{:?} needs {what}", line.text(index.saturating_sub(1)));
            return Err(self.wrong(line, index, problem));
        };
        self.filled(line, word, &word.text)?;
        Ok(&word.text)
    }

    /// A word that names something in the file.
    ///
    /// # Errors
    /// It is missing, a placeholder, or has characters that HAProxy refuses too.
    pub(super) fn name<'l>(&self, line: &'l Line, index: usize) -> Result<&'l str, ImportError> {
        let name = self.value(line, index, "a name")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
            let problem = format!(
                "this is no name; up to {LONGEST_NAME} letters, digits, -, _, . and : make one"
            );
            return Err(self.wrong(line, index, problem));
        }
        Ok(name)
    }

    /// A word that is a file's path, or a folder's.
    ///
    /// # Errors
    /// It is missing, a placeholder, or longer than any.
    pub(super) fn path<'l>(&self, line: &'l Line, index: usize) -> Result<&'l str, ImportError> {
        let path = self.value(line, index, "a path")?;
        if path.len() > LONGEST_PATH {
            let problem = format!("the path is longer than {LONGEST_PATH} bytes");
            return Err(self.wrong(line, index, problem));
        }
        Ok(path)
    }

    /// That `value`, a part of a word, is no placeholder.
    ///
    /// # Errors
    /// It is one; its first character is shown.
    pub(super) fn filled(&self, line: &Line, word: &Word, value: &str) -> Result<(), ImportError> {
        let Some(problem) = endpoint::template(value) else {
            return Ok(());
        };
        let text = self.text.split('\n').nth(line.place.line.saturating_sub(1));
        let behind = text.unwrap_or_default().chars().zip(1..);
        let mut behind = behind.skip(word.column.saturating_sub(1));
        let mark = behind.find(|(c, _)| "<${%@".contains(*c));
        let column = mark.map_or(word.column, |(_, column)| column);
        Err(self.error(&line.place, column, problem))
    }
}

fn end(word: &Word) -> usize {
    word.column + word.text.chars().count()
}

/// A line's first word; the others are stars.
fn hidden(text: &str) -> String {
    let start = text.len() - text.trim_start().len();
    let first = text.get(start..).and_then(|rest| rest.find(' '));
    let first = first.map_or(text.len(), |length| start + length);
    let hide = |(index, c): (usize, char)| {
        if index < first || c.is_whitespace() {
            c
        } else {
            '*'
        }
    };
    text.char_indices().map(hide).collect()
}

/// Each service has a copy of what it is called and of what it asks.
const LONGEST_NAME: usize = 256;
/// The system's own limit, in bytes.
const LONGEST_PATH: usize = 4096;

//! Why a file can't be imported.

use std::fmt;

use super::note::{Note, Place};

/// A file that can't be imported: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportError {
    /// The file, and the line when one is to blame.
    pub file: String,
    /// Where in the file; `None`: all of it.
    pub position: Option<Position>,
    /// What is wrong and what to do.
    pub problem: String,
    /// What was not taken over: it may say why nothing is left to import.
    pub notes: Vec<Note>,
}

/// A character of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The line's text, which the caret is shown under.
    pub text: String,
}

impl ImportError {
    /// The whole file is to blame.
    pub(super) fn of_file(file: impl Into<String>, problem: impl Into<String>) -> Self {
        ImportError {
            file: file.into(),
            position: None,
            problem: problem.into(),
            notes: Vec::new(),
        }
    }

    /// A line is to blame: `source` is the text of its file, and `column` is counted
    /// in characters from 1.
    pub(super) fn at(
        place: &Place,
        source: &str,
        column: usize,
        problem: impl Into<String>,
    ) -> Self {
        let text = source.lines().nth(place.line.saturating_sub(1));
        ImportError {
            file: place.file.to_string(),
            position: Some(Position {
                line: place.line,
                column,
                text: text.unwrap_or_default().to_owned(),
            }),
            problem: problem.into(),
            notes: Vec::new(),
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(position) = &self.position else {
            return write!(f, "{}: {}", self.file, self.problem);
        };
        let (line, column) = (position.line, position.column);
        write!(f, "{}:{line}:{column}: {}", self.file, self.problem)?;
        // A window around the character, where control characters can't move the caret.
        let before = column.saturating_sub(1);
        let start = before.saturating_sub(WINDOW / 2);
        let shown = position.text.chars().skip(start).take(WINDOW);
        let shown: String = shown
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let caret = " ".repeat(before - start);
        write!(f, "\n    {}\n    {caret}^", shown.trim_end())
    }
}

impl std::error::Error for ImportError {}

/// Characters of a line that are shown.
const WINDOW: usize = 100;

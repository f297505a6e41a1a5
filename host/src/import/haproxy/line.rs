//! A line of a haproxy.cfg, and its words.

use crate::import::note::Place;

/// A line with its words, comments left out.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    /// At least one.
    pub(super) words: Vec<Word>,
}

/// A word without its quotes and escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Where it starts, in characters, counted from 1.
    pub(super) column: usize,
}

impl Line {
    /// The text of a word; empty when there is none.
    pub(super) fn text(&self, index: usize) -> &str {
        self.words.get(index).map_or("", |word| word.text.as_str())
    }

    /// The words from one on.
    pub(super) fn rest(&self, from: usize) -> &[Word] {
        self.words.get(from..).unwrap_or_default()
    }
}

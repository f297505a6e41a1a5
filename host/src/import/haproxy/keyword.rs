//! The keywords behind an address, on `bind` and `server` lines.

use std::collections::BTreeMap;

use super::line::Line;

/// A keyword, with as many words behind it as it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyword<'a> {
    pub(super) name: &'a str,
    /// Which word of the line it is.
    pub(super) index: usize,
    /// Whether HAProxy has it; what follows an unknown one is taken for another.
    pub(super) is_known: bool,
}

/// How many words follow each keyword.
pub(super) type Arities = BTreeMap<&'static str, usize>;

/// Keywords that no word follows, and those that one follows.
pub(super) fn arities(alone: &'static str, with_value: &'static str) -> Arities {
    let alone = alone.split_ascii_whitespace().map(|name| (name, 0));
    let with_value = with_value.split_ascii_whitespace().map(|name| (name, 1));
    alone.chain(with_value).collect()
}

/// The keywords from a word on.
pub(super) fn keywords<'a>(line: &'a Line, from: usize, known: &Arities) -> Vec<Keyword<'a>> {
    let mut keywords = Vec::new();
    let mut index = from;
    while let Some(word) = line.words.get(index) {
        let name = word.text.as_str();
        let arity = known.get(name).copied();
        keywords.push(Keyword {
            name,
            index,
            is_known: arity.is_some(),
        });
        index += 1 + arity.unwrap_or_default();
    }
    keywords
}

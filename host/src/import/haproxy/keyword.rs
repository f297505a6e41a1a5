//! The keywords behind an address, on `bind` and `server` lines.

use super::lexer::Line;

/// A keyword, with as many words behind it as it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyword<'a> {
    pub(super) name: &'a str,
    /// Which word of the line it is.
    pub(super) index: usize,
    /// Whether HAProxy has it; what follows an unknown one is taken for another.
    pub(super) is_known: bool,
}

/// The keywords from a word on; `known` are those there are, by how many words each
/// takes.
pub(super) fn keywords<'a>(
    line: &'a Line,
    from: usize,
    known: &[(usize, &str)],
) -> Vec<Keyword<'a>> {
    let mut keywords = Vec::new();
    let mut index = from;
    while let Some(word) = line.words.get(index) {
        let name = word.text.as_str();
        let arity = known.iter().find_map(|(arity, names)| {
            let mut names = names.split_ascii_whitespace();
            names.any(|known| known == name).then_some(*arity)
        });
        keywords.push(Keyword {
            name,
            index,
            is_known: arity.is_some(),
        });
        index += 1 + arity.unwrap_or_default();
    }
    keywords
}

//! The tree of directives that a file is.

use super::names;
use super::token::{Fault, Spot, Token, Tokens, Word};

/// A name, its arguments, and the block behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: Word,
    pub(super) arguments: Vec<Word>,
    /// `None`: it ends with a semicolon.
    pub(super) block: Option<Vec<Directive>>,
}

impl Directive {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.text == name
    }

    pub(super) fn argument(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).map(|word| word.text.as_str())
    }

    /// As it stands in the file, shortened.
    pub(super) fn shown(&self) -> String {
        let mut text = self.name.text.clone();
        for argument in &self.arguments {
            text.push(' ');
            text.push_str(&argument.text);
            if text.len() > LONGEST_SHOWN {
                break;
            }
        }
        match text.char_indices().nth(LONGEST_SHOWN) {
            Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
            None => text,
        }
    }
}

/// Reads one file. `room` is how many words all files may still have.
pub(super) fn parse(text: &str, file: usize, room: &mut usize) -> Result<Vec<Directive>, Fault> {
    let mut tokens = Tokens::new(text, file);
    let mut words: Vec<Word> = Vec::new();
    // The blocks that are open, each with what stood in it before.
    let mut open: Vec<(Directive, Vec<Directive>)> = Vec::new();
    let mut siblings: Vec<Directive> = Vec::new();
    while let Some(token) = tokens.next()? {
        match token {
            Token::Word(word) => {
                *room = room.checked_sub(1).ok_or_else(|| {
                    let problem = format!("more than {MOST_WORDS} words; import a part of it");
                    fault(word.start, problem)
                })?;
                words.push(word);
            }
            Token::End(spot) => siblings.push(directive(&mut words, spot, ";", None)?),
            Token::Open(spot) if tokens.is_template() => {
                let problem = "a placeholder of a template begins here; fill the template in and \
                               import again";
                return Err(fault(spot, problem));
            }
            Token::Open(spot) => {
                if open.len() >= DEEPEST {
                    let problem = format!("more than {DEEPEST} blocks in each other");
                    return Err(fault(spot, problem));
                }
                let header = directive(&mut words, spot, "{", Some(Vec::new()))?;
                if header.name.text.ends_with("_by_lua_block") {
                    tokens.skip_lua().ok_or_else(|| unclosed(&header))?;
                    siblings.push(header);
                } else {
                    open.push((header, std::mem::take(&mut siblings)));
                }
            }
            Token::Close(spot) => {
                if let Some(last) = words.last() {
                    return Err(unended(last));
                }
                let Some((mut block, before)) = open.pop() else {
                    let problem = "unexpected \"}\": no block is open here; remove it";
                    return Err(fault(spot, problem));
                };
                block.block = Some(std::mem::replace(&mut siblings, before));
                siblings.push(block);
            }
        }
    }
    if let Some(last) = words.last() {
        return Err(unended(last));
    }
    match open.pop() {
        None => Ok(siblings),
        Some((block, _)) => Err(unclosed(&block)),
    }
}

fn directive(
    words: &mut Vec<Word>,
    spot: Spot,
    mark: &str,
    block: Option<Vec<Directive>>,
) -> Result<Directive, Fault> {
    let mut words = std::mem::take(words).into_iter();
    let Some(name) = words.next() else {
        let problem = format!("unexpected {mark:?}: no directive stands before it");
        return Err(fault(spot, problem));
    };
    let arguments: Vec<Word> = words.collect();
    // Another directive that begins a line: the one before was not ended.
    let mut before = &name;
    for argument in &arguments {
        if argument.start.line > before.end.line && names::is_known(&argument.text) {
            return Err(unended(before));
        }
        before = argument;
    }
    Ok(Directive {
        name,
        arguments,
        block,
    })
}

fn unclosed(block: &Directive) -> Fault {
    let problem = format!(
        "the block of {:?} is never closed; add its \"}}\"",
        block.name.text
    );
    fault(block.name.start, problem)
}

fn unended(last: &Word) -> Fault {
    fault(
        last.end,
        format!("a \";\" is missing after {:?}", last.text),
    )
}

fn fault(spot: Spot, problem: impl Into<String>) -> Fault {
    let problem = problem.into();
    Fault { spot, problem }
}

/// Of all files together: some 100 bytes of memory each.
pub(super) const MOST_WORDS: usize = 500_000;
/// NGINX needs five.
const DEEPEST: usize = 32;
const LONGEST_SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(directives: &[Directive]) -> String {
        let one = |directive: &Directive| match &directive.block {
            None => format!("{};", directive.shown()),
            Some(block) => format!("{}{{{}}}", directive.shown(), shown(block)),
        };
        directives.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn parsed(text: &str) -> String {
        match parse(text, 0, &mut 100) {
            Ok(directives) => shown(&directives),
            Err(Fault { spot, problem }) => format!("{}:{} {problem}", spot.line, spot.column),
        }
    }

    #[test]
    fn files_are_trees() {
        let cases = [
            ("a b;c{d;e f{g;}}h;", "a b; c{d; e f{g;}} h;"),
            ("a{}", "a{}"),
            ("", ""),
            (
                "x_by_lua_block { if a then b = '}' -- }\n end } c;",
                "x_by_lua_block{} c;",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn what_breaks_a_file_is_shown_where_it_stands() {
        let cases = [
            (
                "a {\n b;",
                "1:1 the block of \"a\" is never closed; add its \"}\"",
            ),
            (
                "a;\n}",
                "2:1 unexpected \"}\": no block is open here; remove it",
            ),
            ("a { b }", "1:6 a \";\" is missing after \"b\""),
            (
                "x_by_lua_block { a = '}' ",
                "1:1 the block of \"x_by_lua_block\" is never closed; add its \"}\"",
            ),
            ("a b", "1:4 a \";\" is missing after \"b\""),
            (
                "server {\n listen 443\n proxy_pass b;\n}",
                "2:12 a \";\" is missing after \"443\"",
            ),
            ("a;;", "1:3 unexpected \";\": no directive stands before it"),
            (
                "listen {{ port }};",
                "1:8 a placeholder of a template begins here; fill the template in and import again",
            ),
            (
                "server {\n{% if tls %}",
                "2:1 a placeholder of a template begins here; fill the template in and import again",
            ),
            ("{", "1:1 unexpected \"{\": no directive stands before it"),
        ];
        for (text, expected) in cases {
            assert_eq!(parsed(text), expected, "{text}");
        }
        let deep = parsed(&"a {".repeat(40));
        assert_eq!(deep, "1:99 more than 32 blocks in each other");
        let long = parsed(&"a ".repeat(101));
        assert!(long.starts_with("1:201 more than"), "{long}");
    }
}

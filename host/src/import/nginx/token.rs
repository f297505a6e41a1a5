//! Words, semicolons and braces, as NGINX itself tells them apart.

use std::iter::Peekable;
use std::str::Chars;

use super::lua;

/// A character of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Which file, by its place in the list of files.
    pub(super) file: usize,
    /// Counted from 1.
    pub(super) line: usize,
    /// In characters, counted from 1.
    pub(super) column: usize,
}

/// A directive's name or argument, without quotes and escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) start: Spot,
    /// Behind its last character.
    pub(super) end: Spot,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    /// A semicolon.
    End(Spot),
    /// `{`
    Open(Spot),
    /// `}`
    Close(Spot),
}

/// What breaks the file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) spot: Spot,
    pub(super) problem: String,
}

/// The tokens of one file.
pub(super) struct Tokens<'a> {
    chars: Peekable<Chars<'a>>,
    /// Of the next character.
    spot: Spot,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, file: usize) -> Self {
        let (line, column) = (1, 1);
        Tokens {
            chars: text.chars().peekable(),
            spot: Spot { file, line, column },
        }
    }

    /// The next token; `None`: the file is over.
    pub(super) fn next(&mut self) -> Result<Option<Token>, Fault> {
        loop {
            let start = self.spot;
            return Ok(Some(match self.chars.peek() {
                None => return Ok(None),
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.advance();
                    continue;
                }
                Some('#') => {
                    while self.chars.peek().is_some_and(|c| *c != '\n') {
                        self.advance();
                    }
                    continue;
                }
                Some(';') => self.mark(Token::End(start)),
                Some('{') => self.mark(Token::Open(start)),
                Some('}') => self.mark(Token::Close(start)),
                Some(quote @ ('"' | '\'')) => {
                    let quote = *quote;
                    self.quoted(quote, start)?
                }
                Some(_) => self.bare(start),
            }));
        }
    }

    /// Whether the `{` that came last is the first of `{{` or `{%`, which begin no block.
    pub(super) fn is_template(&mut self) -> bool {
        matches!(self.chars.peek(), Some('{' | '%'))
    }

    /// Skips the body of a block of Lua and the brace that ends it; `None`: there is none.
    pub(super) fn skip_lua(&mut self) -> Option<()> {
        for _ in 0..lua::length(self.chars.clone())? {
            self.advance();
        }
        Some(())
    }

    fn mark(&mut self, token: Token) -> Token {
        self.advance();
        token
    }

    fn quoted(&mut self, quote: char, start: Spot) -> Result<Token, Fault> {
        self.advance();
        let mut text = String::new();
        loop {
            match self.advance() {
                None => {
                    let problem = format!("this {quote} is never closed; add the other one");
                    let spot = start;
                    return Err(Fault { spot, problem });
                }
                Some('\\') => self.escaped(&mut text),
                Some(c) if c == quote => break,
                Some(c) => text.push(c),
            }
        }
        let end = self.spot;
        match self.chars.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | ';' | '{' | ')') => {
                Ok(Token::Word(Word { text, start, end }))
            }
            Some(other) => {
                let problem = format!(
                    "unexpected {other:?} after a quoted text; put a space or a semicolon before it"
                );
                let spot = end;
                Err(Fault { spot, problem })
            }
        }
    }

    fn bare(&mut self, start: Spot) -> Token {
        let mut text = String::new();
        let mut after_dollar = false;
        while let Some(&c) = self.chars.peek() {
            match c {
                // The brace of `${name}`.
                '{' if after_dollar => text.push(c),
                ' ' | '\t' | '\r' | '\n' | ';' | '{' => break,
                '\\' => {
                    self.advance();
                    self.escaped(&mut text);
                    after_dollar = false;
                    continue;
                }
                _ => text.push(c),
            }
            after_dollar = c == '$';
            self.advance();
        }
        let end = self.spot;
        Token::Word(Word { text, start, end })
    }

    /// What a backslash, which is behind, and the next character stand for.
    fn escaped(&mut self, text: &mut String) {
        match self.advance() {
            None => text.push('\\'),
            Some(c @ ('"' | '\'' | '\\')) => text.push(c),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('n') => text.push('\n'),
            Some(other) => {
                text.push('\\');
                text.push(other);
            }
        }
    }

    fn advance(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        if c == '\n' {
            self.spot.line += 1;
            self.spot.column = 1;
        } else {
            self.spot.column += 1;
        }
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each token's text in brackets, or the mark itself; a fault with its place.
    fn tokens(text: &str) -> String {
        let mut tokens = Tokens::new(text, 0);
        let mut shown = String::new();
        loop {
            match tokens.next() {
                Ok(None) => return shown,
                Ok(Some(Token::Word(word))) => shown.push_str(&format!("[{}]", word.text)),
                Ok(Some(Token::End(_))) => shown.push(';'),
                Ok(Some(Token::Open(_))) => shown.push('{'),
                Ok(Some(Token::Close(_))) => shown.push('}'),
                Err(Fault { spot, problem }) => {
                    return format!("{shown} {}:{} {problem}", spot.line, spot.column);
                }
            }
        }
    }

    #[test]
    fn tokens_are_those_of_nginx() {
        let cases = [
            ("listen 443;", "[listen][443];"),
            ("upstream a{server b;}", "[upstream][a]{[server][b];}"),
            ("# a; b\nc;", "[c];"),
            ("a b#c; # d", "[a][b#c];"),
            ("a }b;", "[a]}[b];"),
            ("a b};", "[a][b}];"),
            (r#"a "b c" 'd "e"';"#, r#"[a][b c][d "e"];"#),
            (r#"a "b\"c\\d";"#, r#"[a][b"c\d];"#),
            (r"a b\ c\;d;", r"[a][b\ c\;d];"),
            (r"~^a\.b$ c;", r"[~^a\.b$][c];"),
            ("a ${b}c;", "[a][${b}c];"),
            ("a $b{", "[a][$b]{"),
            ("a \"\";", "[a][];"),
            ("a b\"c;", "[a][b\"c];"),
            (
                "a \"b\"c;",
                "[a] 1:6 unexpected 'c' after a quoted text; put a space or a semicolon before it",
            ),
            (
                "a;\n  b 'c;\n",
                "[a];[b] 2:5 this ' is never closed; add the other one",
            ),
            ("a\\", "[a\\]"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }
}

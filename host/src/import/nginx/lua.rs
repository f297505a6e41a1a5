//! Where a block of Lua ends: braces in its texts and comments do not count.

use std::iter::Peekable;

/// How many characters a block has, from behind its `{` to its `}`, which counts;
/// `None`: it never ends.
pub(super) fn length(block: impl Iterator<Item = char> + Clone) -> Option<usize> {
    let mut lua = Lua {
        chars: block.peekable(),
        passed: 0,
    };
    let mut depth = 1_usize;
    loop {
        match lua.next()? {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(lua.passed),
            '}' => depth -= 1,
            quote @ ('"' | '\'') => lua.quoted(quote)?,
            '-' if lua.chars.peek() == Some(&'-') => {
                lua.next()?;
                let is_long = lua.chars.peek() == Some(&'[') && lua.next().is_some();
                match is_long.then(|| lua.long_bracket()).flatten() {
                    Some(level) => lua.long(level)?,
                    None => while lua.next()? != '\n' {},
                }
            }
            '[' => {
                if let Some(level) = lua.long_bracket() {
                    lua.long(level)?;
                }
            }
            _ => {}
        }
    }
}

struct Lua<I: Iterator<Item = char>> {
    chars: Peekable<I>,
    passed: usize,
}

impl<I: Iterator<Item = char> + Clone> Lua<I> {
    fn next(&mut self) -> Option<char> {
        self.passed += 1;
        self.chars.next()
    }

    fn quoted(&mut self, quote: char) -> Option<()> {
        loop {
            match self.next()? {
                '\\' => drop(self.next()?),
                // A text ends on its line.
                c if c == quote || c == '\n' => return Some(()),
                _ => {}
            }
        }
    }

    /// Behind a `[`: passes the rest of `[[` or `[==[`, and says how many `=` it has;
    /// `None`: it is another bracket.
    fn long_bracket(&mut self) -> Option<usize> {
        let mut ahead = self.chars.clone();
        let level = std::iter::from_fn(|| ahead.next_if_eq(&'=')).count();
        ahead.next_if_eq(&'[')?;
        self.chars = ahead;
        self.passed += level + 1;
        Some(level)
    }

    /// To the end of what a long bracket of this level began.
    fn long(&mut self, level: usize) -> Option<()> {
        loop {
            if self.next()? != ']' {
                continue;
            }
            let mut equals = 0;
            while self.chars.next_if_eq(&'=').is_some() {
                self.passed += 1;
                equals += 1;
            }
            if equals == level && self.chars.peek() == Some(&']') {
                self.next()?;
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_texts_and_comments_do_not_count() {
        let blocks = [
            "}",
            " local t = {{}, {}} }",
            " local a = \"}\" }",
            " local a = '\\'}' }",
            " -- }\n }",
            " --[[ }\n } ]] }",
            " --[==[ } ]] ]==] }",
            " local a = [[ } ]] }",
            " local a = [=[ } ]==] ]=] }",
            " t[1] = t[#t] - 1 }",
            " x = 'open\n }",
            " --[ }\n }",
        ];
        for block in blocks {
            let text = format!("{block} rest }}");
            assert_eq!(length(text.chars()), Some(block.chars().count()), "{block}");
        }
        for open in ["", " { }", " '}", " [[ } ", " --}", " --[[ }"] {
            assert_eq!(length(open.chars()), None, "{open}");
        }
    }
}

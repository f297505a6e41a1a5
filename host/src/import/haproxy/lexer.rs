//! Lines and words of a haproxy.cfg.

use std::rc::Rc;
use std::sync::Arc;

use super::line::{Line, Word};
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::note::Place;

/// All lines that have words.
///
/// # Errors
/// A quote or an escape that does not end, a NUL, a line or a file that is longer
/// than any that HAProxy would read.
pub(super) fn lines(source: &Source<'_>) -> Result<Vec<Rc<Line>>, ImportError> {
    let file: Arc<str> = source.name.into();
    let mut lines = Vec::new();
    for (index, text) in source.text.split('\n').enumerate() {
        let place = Place {
            file: Arc::clone(&file),
            line: index + 1,
        };
        if text.len() > LONGEST_LINE {
            let problem = format!("the line is longer than {} KiB", LONGEST_LINE >> 10);
            return Err(source.error(&place, 1, problem));
        }
        let words = match words(text) {
            Ok(words) => words,
            Err(Problem { column, problem }) => return Err(source.error(&place, column, problem)),
        };
        if words.is_empty() {
            continue;
        }
        if lines.len() == MOST_LINES {
            let problem = format!("more than {MOST_LINES} lines; split the file");
            return Err(source.error(&place, 1, problem));
        }
        lines.push(Rc::new(Line { place, words }));
    }
    Ok(lines)
}

struct Problem {
    column: usize,
    problem: &'static str,
}

/// Where the reader is within quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    Outside,
    Single(usize),
    Double(usize),
}

fn words(text: &str) -> Result<Vec<Word>, Problem> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = Quote::Outside;
    let mut chars = text.chars().zip(1..).peekable();
    while let Some((c, column)) = chars.next() {
        if c == '\0' {
            let problem = "a NUL byte: this is no text file";
            return Err(Problem { column, problem });
        }
        let new = || Word {
            text: String::new(),
            column,
        };
        match (c, quote) {
            ('"', Quote::Outside) => quote = Quote::Double(column),
            ('\'', Quote::Outside) => quote = Quote::Single(column),
            ('"', Quote::Double(_)) | ('\'', Quote::Single(_)) => quote = Quote::Outside,
            ('#' | '\r', Quote::Outside) if c == '#' || chars.peek().is_none() => break,
            (c, Quote::Outside) if c.is_ascii_whitespace() => {
                end(&mut words, word.take(), column)?;
                continue;
            }
            ('\\', Quote::Outside | Quote::Double(_)) => {
                let word = word.get_or_insert_with(new);
                escape(&mut chars, column, quote, &mut word.text)?;
            }
            (c, _) => word.get_or_insert_with(new).text.push(c),
        }
        // An empty pair of quotes is a word too.
        word.get_or_insert_with(new);
    }
    match quote {
        Quote::Outside => {
            end(&mut words, word, text.chars().count())?;
            Ok(words)
        }
        Quote::Single(column) | Quote::Double(column) => Err(Problem {
            column,
            problem: "the quote that begins here does not end on this line",
        }),
    }
}

fn end(words: &mut Vec<Word>, word: Option<Word>, column: usize) -> Result<(), Problem> {
    let Some(word) = word else { return Ok(()) };
    if words.len() == MOST_WORDS {
        let problem = "more than 64 words on one line, which HAProxy refuses as well";
        return Err(Problem { column, problem });
    }
    words.push(word);
    Ok(())
}

/// Reads what follows a backslash. What is no escape keeps its backslash, as in a
/// regular expression.
fn escape(
    chars: &mut std::iter::Peekable<impl Iterator<Item = (char, usize)>>,
    column: usize,
    quote: Quote,
    text: &mut String,
) -> Result<(), Problem> {
    let Some((next, _)) = chars.peek().copied() else {
        text.push('\\');
        return Ok(());
    };
    let replaced = match next {
        'r' => '\r',
        'n' => '\n',
        't' => '\t',
        ' ' | '\\' | '#' | '"' | '\'' => next,
        '$' if quote != Quote::Outside => next,
        'x' => {
            chars.next();
            let mut digit = || {
                let (c, _) = chars.next()?;
                c.to_digit(16)
            };
            let byte = digit().and_then(|high| Some(high * 16 + digit()?));
            let Some(byte) = byte.and_then(char::from_u32).filter(|c| *c != '\0') else {
                let problem = "\\x needs two hexadecimal digits, of a character that is no NUL";
                return Err(Problem { column, problem });
            };
            text.push(byte);
            return Ok(());
        }
        _ => {
            text.push('\\');
            return Ok(());
        }
    };
    chars.next();
    text.push(replaced);
    Ok(())
}

/// In bytes; far more than HAProxy's own limit, which can be configured.
const LONGEST_LINE: usize = 64 << 10;
const MOST_LINES: usize = 100_000;
/// HAProxy's own limit.
const MOST_WORDS: usize = 64;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    fn lexed(text: &str) -> Result<Vec<Rc<Line>>, ImportError> {
        let name = "haproxy.cfg";
        lines(&Source { name, text })
    }

    #[test]
    fn words_are_read_as_haproxy_reads_them() {
        let cases: [(&str, &[&str]); 16] = [
            ("", &[]),
            ("   # a comment", &[]),
            ("\tmode  tcp\t", &["mode", "tcp"]),
            ("mode tcp\r", &["mode", "tcp"]),
            ("mode tcp # why", &["mode", "tcp"]),
            ("mode tcp#why", &["mode", "tcp"]),
            (r"a\ b c", &["a b", "c"]),
            (
                r"HTTP/1.1\r\nHost:\ dtr.example.com",
                &["HTTP/1.1\r\nHost: dtr.example.com"],
            ),
            (r#""HTTP/1.1\r\nHost: a""#, &["HTTP/1.1\r\nHost: a"]),
            (r"'HTTP/1.1\r\nHost: a'", &[r"HTTP/1.1\r\nHost: a"]),
            (r#"a"b c"'d e'f"#, &["ab cd ef"]),
            (r#"x "" y"#, &["x", "", "y"]),
            (r##"'#' "#" \#"##, &["#", "#", "#"]),
            (r"^\d+\.html\x41", &[r"^\d+\.htmlA"]),
            (r#"\"quoted\" \\"#, &["\"quoted\"", "\\"]),
            (r"end\", &["end\\"]),
        ];
        for (text, expected) in cases {
            let lines = lexed(text).unwrap();
            let words: Vec<&str> = lines
                .iter()
                .flat_map(|line| line.words.iter().map(|word| word.text.as_str()))
                .collect();
            assert_eq!(words, expected, "{text}");
        }
    }

    #[test]
    fn a_word_knows_its_column() {
        let lines = lexed("\n  sérver \"a b\" c").unwrap();
        let line = lines.first().unwrap();
        let columns: Vec<usize> = line.words.iter().map(|word| word.column).collect();
        assert_eq!((line.place.line, columns), (2, vec![3, 10, 16]));
    }

    #[test]
    fn what_can_not_be_split_into_words_is_shown() {
        let long = "x".repeat(LONGEST_LINE + 1);
        let words = "x ".repeat(MOST_WORDS + 1);
        let cases = [
            ("a \"b", "haproxy.cfg:1:3: the quote"),
            ("x\n a 'b\"", "haproxy.cfg:2:4: the quote"),
            ("a\0", "haproxy.cfg:1:2: a NUL"),
            (r"a \x4", r"haproxy.cfg:1:3: \x needs"),
            (r"\x00", r"haproxy.cfg:1:1: \x needs"),
            (&long, "haproxy.cfg:1:1: the line is longer than 64 KiB"),
            (&words, "haproxy.cfg:1:130: more than 64 words"),
        ];
        for (text, expected) in cases {
            let error = lexed(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_file_of_too_many_lines_is_refused() {
        let text = "a\n".repeat(MOST_LINES + 1);
        let error = lexed(&text).unwrap_err().to_string();
        assert!(error.contains("more than 100000 lines"), "{error}");
    }
}

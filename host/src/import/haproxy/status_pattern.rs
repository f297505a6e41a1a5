//! Regular expressions over statuses, as far as anybody writes them: digits, `.`, `\d`,
//! classes, groups, alternatives, anchors, and how often a part comes.

/// Whether a pattern is found in a status; `None`: it has something else in it.
pub(super) fn is_found(pattern: &str, status: u16) -> Option<bool> {
    if pattern.len() > LONGEST {
        return None;
    }
    let mut matcher = Matcher {
        rest: pattern,
        digits: [status / 100, status / 10 % 10, status % 10],
        depth: 0,
    };
    let ends = matcher.alternatives(ANYWHERE)?;
    matcher.rest.is_empty().then_some(ends != 0)
}

/// Reads a pattern, and goes through the digits at the same time. Places are bits: the
/// lowest is before the first digit, the fourth behind the last.
struct Matcher<'a> {
    rest: &'a str,
    digits: [u16; 3],
    depth: usize,
}

impl Matcher<'_> {
    /// Where `a|b|c` may end when it begins at these places.
    fn alternatives(&mut self, from: u8) -> Option<u8> {
        let mut ends = self.sequence(from)?;
        while self.eat("|") {
            ends |= self.sequence(from)?;
        }
        Some(ends)
    }

    fn sequence(&mut self, from: u8) -> Option<u8> {
        let mut at = from;
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            at = self.repeated(at)?;
        }
        Some(at)
    }

    /// A part, with how often it comes.
    fn repeated(&mut self, from: u8) -> Option<u8> {
        let part = self.rest;
        let once = self.part(from)?;
        let mut ends = match self.rest.chars().next() {
            Some('*' | '?') => from | once,
            _ => once,
        };
        match self.rest.chars().next() {
            Some('*' | '+') => {
                let behind = self.rest.get(1..)?;
                // Until there is no other place to end at.
                let mut begins = from;
                while ends != begins {
                    begins = ends;
                    self.rest = part;
                    ends |= self.part(begins)?;
                }
                self.rest = behind;
            }
            Some('?') => self.rest = self.rest.get(1..)?,
            Some('{') => {
                let count = self.rest.get(1..2)?.parse::<u8>().ok()?;
                let is_count = self.rest.get(2..)?.starts_with('}') && (1..=3).contains(&count);
                // All of them but the first, one after the other.
                let (behind, again) = (self.rest.get(3..)?, is_count.then(|| count - 1)?);
                for _ in 0..again {
                    self.rest = part;
                    ends = self.part(ends)?;
                }
                self.rest = behind;
            }
            _ => {}
        }
        Some(ends)
    }

    fn part(&mut self, from: u8) -> Option<u8> {
        let next = self.rest.chars().next()?;
        self.rest = self.rest.get(next.len_utf8()..)?;
        match next {
            '^' => Some(from & START),
            '$' => Some(from & END),
            '.' => Some(self.step(from, |_| true)),
            '0'..='9' => Some(self.step(from, |digit| digit == value(next))),
            '\\' if self.eat("d") => Some(self.step(from, |_| true)),
            '[' => self.class(from),
            '(' => {
                self.depth += 1;
                self.eat("?:");
                let ends = (self.depth <= DEEPEST).then(|| self.alternatives(from))??;
                self.depth -= 1;
                self.eat(")").then_some(ends)
            }
            _ => None,
        }
    }

    /// `[2-4]`, `[23]` or `[^5]`.
    fn class(&mut self, from: u8) -> Option<u8> {
        let (class, rest) = self.rest.split_once(']')?;
        self.rest = rest;
        let (is_negated, class) = match class.strip_prefix('^') {
            Some(class) => (true, class),
            None => (false, class),
        };
        let mut given = Vec::new();
        let mut chars = class.chars().peekable();
        while let Some(first) = chars.next() {
            let is_range = chars.next_if_eq(&'-').is_some();
            let last = if is_range { chars.next()? } else { first };
            if !first.is_ascii_digit() || !last.is_ascii_digit() {
                return None;
            }
            given.push(value(first)..=value(last));
        }
        let is_given = |digit| given.iter().any(|range| range.contains(&digit));
        (!given.is_empty()).then(|| self.step(from, |digit| is_given(digit) != is_negated))
    }

    /// Past one digit that fits.
    fn step(&self, from: u8, fits: impl Fn(u16) -> bool) -> u8 {
        let steps = self.digits.iter().enumerate();
        let ends = steps.filter(|(at, digit)| from & (1 << at) != 0 && fits(**digit));
        ends.fold(0, |ends, (at, _)| ends | 1 << (at + 1))
    }

    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

fn value(digit: char) -> u16 {
    digit.to_digit(10).map_or(0, |digit| digit as u16)
}

const START: u8 = 0b0001;
const END: u8 = 0b1000;
const ANYWHERE: u8 = 0b1111;
/// In bytes.
const LONGEST: usize = 64;
/// Groups in each other: each may go through its inside several times.
const DEEPEST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_the_statuses_that_regular_expressions_do() {
        let known = [
            "^2",
            "200",
            "20",
            "^20$",
            "2..",
            "^2.*",
            "(2|3)[0-9][0-9]",
            "^[23]",
            "^[^45]",
            r"^2\d\d$",
            r"^(?:2\d{2}|401)$",
            "200|401",
            "^(20[0-4]|3.+)$",
            "40?1",
            "4*",
            "",
            "^2|^3|1$",
            "((2|3)0)+",
            "0{2}",
            "[0-13]$",
        ];
        for pattern in known {
            let expression = regex::bytes::RegexBuilder::new(pattern)
                .unicode(false)
                .build()
                .unwrap_or_else(|error| panic!("{pattern}: {error}"));
            for status in 100..=599_u16 {
                let expected = expression.is_match(status.to_string().as_bytes());
                let found = is_found(pattern, status);
                assert_eq!(found, Some(expected), "{pattern}: {status}");
            }
        }
    }

    #[test]
    fn other_patterns_are_not_guessed_at() {
        let long = "2|".repeat(40);
        let deep = "((((2*)*)*)*)*";
        let unknown = [
            "(?i)2",
            "[a-z]",
            "ok",
            "(2",
            "2)",
            "[2",
            "2{1,2}",
            "2{",
            "\\w",
            "*",
            "(?!5)",
            "[]",
            "\\",
            "2{\u{e9}}",
            &long,
            deep,
        ];
        for pattern in unknown {
            assert_eq!(is_found(pattern, 200), None, "{pattern}");
        }
    }
}

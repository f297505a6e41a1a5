//! The statuses that a check takes for healthy.

use std::rc::Rc;

use regex_lite::RegexBuilder;

use super::ledger::Ledger;
use super::line::Line;
use super::settings::Settings;
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::number;
use crate::import::written;

/// Reads all `http-check expect` that count, each of which an answer must meet, as
/// inclusive ranges; none: what the body says decides, with the preset's statuses.
///
/// # Errors
/// A status can't be read, or none is left.
pub(super) fn statuses(
    source: &Source<'_>,
    settings: &Settings,
    ledger: &mut Ledger,
) -> Result<Vec<(u16, u16)>, ImportError> {
    let lines = settings.expects();
    if let Some(extra) = lines.get(MOST_EXPECTS) {
        let problem = format!("more than {MOST_EXPECTS} \"http-check expect\" for one check");
        return Err(source.wrong(extra, 0, problem));
    }
    let mut expected = Vec::new();
    for line in lines {
        expected.push((line, Expectation::read(source, line)?));
    }
    let mut accepted: Vec<u16> = STATUSES.collect();
    let (mut of_status, mut of_body) = (None, false);
    for (line, expectation) in &expected {
        match expectation {
            Expectation::Status(healthy) => {
                accepted.retain(|status| healthy.binary_search(status).is_ok());
                of_status = Some(line);
            }
            Expectation::Body => of_body = true,
            Expectation::Other => {}
        }
    }
    if let (Some(line), true) = (of_status, accepted.is_empty()) {
        let problem = "no status is left that counts as healthy; correct the expectations";
        return Err(source.wrong(line, 0, problem));
    }
    let ranges = match (of_status, of_body) {
        (Some(_), _) => ranges(&accepted),
        (None, true) => Vec::new(),
        (None, false) => vec![SUCCESS],
    };
    note(&expected, &ranges, ledger);
    Ok(ranges)
}

/// What a line expects of an answer.
enum Expectation {
    /// One of these, in order.
    Status(Vec<u16>),
    /// A part of its body.
    Body,
    /// Something that can't be asked for here.
    Other,
}

impl Expectation {
    fn read(source: &Source<'_>, line: &Line) -> Result<Self, ImportError> {
        // Options with one word each may stand before.
        let mut index = 2;
        while EXPECT_OPTIONS.contains(&line.text(index)) {
            index += 2;
        }
        let is_negated = line.text(index) == "!";
        index += usize::from(is_negated);
        let kind = line.text(index);
        let word = || source.value(line, index + 1, "a status");
        let given: Option<Vec<u16>> = match kind {
            "status" => {
                let given = listed(word()?).ok_or_else(|| {
                    let problem =
                        "this is no list of up to 100 statuses such as 200,204 or 200-299";
                    source.wrong(line, index + 1, problem)
                })?;
                Some(given)
            }
            "rstatus" => matching(word()?),
            "string" | "rstring" if !is_negated => return Ok(Expectation::Body),
            _ => None,
        };
        Ok(match given {
            Some(given) => {
                let healthy =
                    STATUSES.filter(|status| given.binary_search(status).is_ok() != is_negated);
                Expectation::Status(healthy.collect())
            }
            None => Expectation::Other,
        })
    }
}

/// Says what each line became.
fn note(expected: &[(&Rc<Line>, Expectation)], ranges: &[(u16, u16)], ledger: &mut Ledger) {
    let shown: Vec<String> = ranges.iter().map(written::range).collect();
    for (line, expectation) in expected {
        let says: Vec<&str> = line.rest(2).iter().map(|word| word.text.as_str()).collect();
        let says = format!("http-check expect {}", says.join(" "));
        if let Expectation::Status(_) = expectation {
            ledger.taken(line, format!("{says}: \"statuses\" is {}", shown.join(",")));
            continue;
        }
        let instead = match shown.is_empty() {
            true => "the preset's statuses are, 200 for /_ping, and a JSON body must agree".into(),
            false => format!("{} are", shown.join(",")),
        };
        ledger.not_taken(
            line,
            format!("{says}: only statuses can be expected; {instead}"),
        );
    }
}

/// The statuses of a list such as `200,204-206`.
fn listed(text: &str) -> Option<Vec<u16>> {
    let ranges: Option<Vec<(u16, u16)>> =
        text.split(',').take(MOST_RANGES + 1).map(range).collect();
    let ranges = ranges.filter(|ranges| ranges.len() <= MOST_RANGES)?;
    let is_listed = |status: &u16| {
        let mut ranges = ranges.iter();
        ranges.any(|(first, last)| (first..=last).contains(&status))
    };
    Some(STATUSES.filter(is_listed).collect())
}

/// The statuses that a pattern is found in; `None`: it is too long, or has something that
/// PCRE alone understands.
fn matching(pattern: &str) -> Option<Vec<u16>> {
    if pattern.len() > LONGEST_PATTERN {
        return None;
    }
    let pattern = RegexBuilder::new(pattern)
        .size_limit(LARGEST_PATTERN)
        .build()
        .ok()?;
    let is_found = |status: &u16| pattern.is_match(&status.to_string());
    Some(STATUSES.filter(is_found).collect())
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text| {
        let status = number::digits(text).and_then(|status| u16::try_from(status).ok());
        status.filter(|status| STATUSES.contains(status))
    };
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some((first, last))
}

/// Statuses in order, as inclusive ranges.
fn ranges(statuses: &[u16]) -> Vec<(u16, u16)> {
    let runs = statuses.chunk_by(|one, next| one + 1 == *next);
    let run = |run: &[u16]| Some((*run.first()?, *run.last()?));
    runs.filter_map(run).collect()
}

const STATUSES: std::ops::RangeInclusive<u16> = 100..=599;
/// What HAProxy takes for healthy unless an expectation is configured.
const SUCCESS: (u16, u16) = (200, 399);
/// Each service reads those of its defaults.
const MOST_EXPECTS: usize = 16;
/// Or single statuses, on one line.
const MOST_RANGES: usize = 100;
/// In bytes.
const LONGEST_PATTERN: usize = 64;
/// In bytes, compiled: each service tries it on all statuses.
const LARGEST_PATTERN: usize = 16 << 10;

const EXPECT_OPTIONS: [&str; 8] = [
    "min-recv",
    "comment",
    "ok-status",
    "error-status",
    "tout-status",
    "on-success",
    "on-error",
    "status-code",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_select_statuses() {
        let all = STATUSES.count();
        let cases = [
            ("^2", Some(100)),
            ("200", Some(1)),
            ("^(?:2\\d{2}|401)$", Some(101)),
            ("(2|3)[0-9][0-9]", Some(200)),
            ("^[^45]", Some(300)),
            ("", Some(all)),
            ("ok", Some(0)),
            ("(2", None),
            ("(?!5)", None),
            (&"2|".repeat(40), None),
            ("((2{9}){9}){9}", None),
            ("((((2*)*)*)*)*", Some(all)),
        ];
        for (pattern, expected) in cases {
            let count = matching(pattern).map(|statuses| statuses.len());
            assert_eq!(count, expected, "{pattern}");
        }
    }
}

//! Numbers and times as HAProxy writes them.

use std::time::Duration;

use super::line::Line;
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::number::digits;

impl Source<'_> {
    /// A word that is a time; without a unit it is milliseconds.
    ///
    /// # Errors
    /// It is missing, a placeholder, or none.
    pub(super) fn time(&self, line: &Line, index: usize) -> Result<Duration, ImportError> {
        let text = self.value(line, index, "a time")?;
        time(text).ok_or_else(|| {
            let problem = format!(
                "{text:?} is no time; expected a whole number with us, ms, s, m, h or d, or milliseconds \
                 without a unit"
            );
            self.wrong(line, index, problem)
        })
    }

    /// A word that is a whole number.
    ///
    /// # Errors
    /// It is missing, a placeholder, or no number within `range`.
    pub(super) fn number(
        &self,
        line: &Line,
        index: usize,
        (least, most): (u64, u64),
    ) -> Result<u64, ImportError> {
        let text = self.value(line, index, "a number")?;
        let number = digits(text).filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| {
            let range = match most {
                // Limits here are smaller, and what is above them is brought into them.
                u64::MAX => format!("from {least} on"),
                _ => format!("from {least} to {most}"),
            };
            let problem = format!("{text:?} is no whole number {range}");
            self.wrong(line, index, problem)
        })
    }
}

/// Digits with a unit; at most what fits the format, which is far beyond a year.
fn time(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let number = digits(number)?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "us" => Some(Duration::from_micros(number)),
        "" | "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_haproxys_units() {
        let cases = [
            ("50000", Some(Duration::from_secs(50))),
            ("0", Some(Duration::ZERO)),
            ("100us", Some(Duration::from_micros(100))),
            ("500ms", Some(Duration::from_millis(500))),
            ("30s", Some(Duration::from_secs(30))),
            ("10m", Some(Duration::from_secs(600))),
            ("12h", Some(Duration::from_secs(43_200))),
            ("1d", Some(Duration::from_secs(86_400))),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("2x", None),
            ("5sec", None),
            ("1h30m", None),
            ("99999999999999999999", None),
            ("18446744073709551615d", None),
        ];
        for (text, expected) in cases {
            assert_eq!(time(text), expected, "{text}");
        }
    }
}

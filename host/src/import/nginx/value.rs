//! Times and counts as NGINX writes them.

use std::time::Duration;

use crate::import::number;

/// The finest unit that a time may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finest {
    Seconds,
    Milliseconds,
}

/// A time such as `30s`, `1h 30m` or `500ms`; seconds when it has no unit.
///
/// # Errors
/// What is wrong with it.
pub(super) fn time(text: &str, finest: Finest) -> Result<Duration, String> {
    let wrong = || {
        let example = match finest {
            Finest::Seconds => "30s or 5m",
            Finest::Milliseconds => "500ms, 30s or 5m",
        };
        format!("{text:?} is no time; give one such as {example}")
    };
    let mut total = Duration::ZERO;
    let mut rest = text;
    let mut last = usize::MAX;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at(digits);
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let after_number = unit.trim_start_matches(' ');
        // `ms` is no `m`: the last that fits is the longest.
        let mut units = UNITS.iter().enumerate();
        let known = units.rfind(|(_, one)| unit.starts_with(one.0));
        let (order, name, scale) = match known {
            Some((order, (name, scale))) => (order, *name, *scale),
            None if after_number.is_empty() => (SECOND, "", Duration::from_secs(1)),
            None => return Err(wrong()),
        };
        // From the largest unit to the smallest, each once.
        let is_next = last == usize::MAX || order > last;
        if !is_next || (order > SECOND && finest == Finest::Seconds) {
            return Err(wrong());
        }
        last = order;
        let part = scale.checked_mul(number).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = unit
            .get(name.len()..)
            .unwrap_or_default()
            .trim_start_matches(' ');
    }
    Ok(total)
}

/// A whole number.
///
/// # Errors
/// It is none.
pub(super) fn count(text: &str) -> Result<u64, String> {
    number::digits(text).ok_or_else(|| format!("{text:?} is no whole number"))
}

/// From the largest to the smallest.
const UNITS: [(&str, Duration); 8] = [
    ("y", Duration::from_secs(365 * 24 * 60 * 60)),
    ("M", Duration::from_secs(30 * 24 * 60 * 60)),
    ("w", Duration::from_secs(7 * 24 * 60 * 60)),
    ("d", Duration::from_secs(24 * 60 * 60)),
    ("h", Duration::from_secs(60 * 60)),
    ("m", Duration::from_secs(60)),
    ("s", Duration::from_secs(1)),
    ("ms", Duration::from_millis(1)),
];
const SECOND: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_nginx_does() {
        let cases = [
            ("30s", Some(30_000)),
            ("30", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("1m 500ms", Some(60_500)),
            ("1m 5", Some(65_000)),
            ("500ms", Some(500)),
            ("1d", Some(86_400_000)),
            ("1M", Some(2_592_000_000)),
            ("0", Some(0)),
            ("30x", None),
            ("30S", None),
            ("5m1h", None),
            ("5m5m", None),
            ("m", None),
            ("-1s", None),
            ("1.5s", None),
            ("", None),
            (" 1s", None),
            ("99999999999s", None),
        ];
        for (text, expected) in cases {
            let time = time(text, Finest::Milliseconds);
            assert_eq!(time.ok().map(|time| time.as_millis()), expected, "{text}");
        }
        assert!(time("500ms", Finest::Seconds).is_err());
        assert!(time("10s", Finest::Seconds).is_ok());
    }

    #[test]
    fn counts_are_digits() {
        let cases = [
            ("2", Some(2)),
            ("0", Some(0)),
            ("two", None),
            ("+2", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(count(text).ok(), expected, "{text}");
        }
    }
}

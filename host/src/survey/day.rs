//! Days as people write them.

use std::time::{Duration, UNIX_EPOCH};

/// The day of a time in Unix seconds, such as `2027-03-01`, in UTC.
#[must_use]
pub fn day(unix_seconds: i64) -> String {
    let seconds = u64::try_from(unix_seconds).unwrap_or_default();
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

/// The last second of the year 9999: RFC 3339 has no later ones.
const LAST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_its_day() {
        let cases = [
            (0, "1970-01-01"),
            (-5, "1970-01-01"),
            (1_893_455_999, "2029-12-31"),
            (1_893_456_000, "2030-01-01"),
            (i64::MAX, "9999-12-31"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(day(seconds), expected, "{seconds}");
        }
    }
}

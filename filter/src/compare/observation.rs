//! What a replica's answers reveal of it.

use super::certificate::Certificate;
use crate::printable::printable;
use serde::{Deserialize, Serialize};
use std::time::UNIX_EPOCH;

/// What a replica's answers reveal of it; `None`: they did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The answer's status.
    #[serde(default)]
    pub status: Option<u16>,
    /// How far its clock is ahead of ours, in milliseconds. `Date` has whole seconds
    /// only, so that it is right to half a second.
    pub clock_offset_ms: Option<i64>,
    /// The header `Server`.
    pub server: Option<String>,
    /// The header `Docker-Distribution-Api-Version`.
    pub api_version: Option<String>,
    /// The header `WWW-Authenticate`: how clients are to log in.
    pub challenge: Option<String>,
    /// Where its plain HTTP port leads: the header `Location` of a redirect.
    pub redirect: Option<String>,
    /// What it showed in the TLS handshake. Guests of Envoy never see it.
    pub certificate: Option<Certificate>,
}

/// Headers that an answer to [`Observation::of`] is asked for, in lower case.
pub const HEADERS: [&str; 6] = [
    STATUS,
    DATE,
    SERVER,
    API_VERSION,
    CHALLENGE,
    crate::contract::PEER_CERTIFICATE,
];

/// What one replica's answers revealed.
pub type Observed<'a> = (&'a str, &'a Observation);

impl Observation {
    /// What an answer reveals. `header` looks one of [`HEADERS`] up; the request was
    /// sent, and the answer was there, at these Unix milliseconds of ours.
    pub fn of(
        header: impl Fn(&str) -> Option<String>,
        sent_unix_ms: u64,
        received_unix_ms: u64,
    ) -> Observation {
        let text = |name| header(name).map(|value| printable(&value));
        let date = header(DATE);
        let status = header(STATUS);
        Observation {
            status: status.and_then(|status| status.parse().ok()),
            clock_offset_ms: date
                .and_then(|date| clock_offset_ms(&date, sent_unix_ms, received_unix_ms)),
            server: text(SERVER),
            api_version: text(API_VERSION),
            challenge: text(CHALLENGE),
            redirect: None,
            certificate: header(crate::contract::PEER_CERTIFICATE)
                .and_then(|value| Certificate::from_header(&value)),
        }
    }

    /// Whether it tells of the replica's trouble (5xx), and not of how it serves.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.status.is_some_and(|status| status >= 500)
    }

    /// The same; where it is in trouble, how it serves is what was known of that.
    pub(super) fn or_earlier(self, earlier: Option<Observation>) -> Observation {
        if !self.is_in_trouble() {
            return self;
        }
        let earlier = earlier.unwrap_or_default();
        Observation {
            server: earlier.server,
            api_version: earlier.api_version,
            challenge: earlier.challenge,
            ..self
        }
    }
}

/// From a `Date` (RFC 9110, 5.6.7), which is the time of the answer without its
/// fraction of a second. It was made at some time between the two; what the two leave
/// open is no offset.
fn clock_offset_ms(date: &str, sent_unix_ms: u64, received_unix_ms: u64) -> Option<i64> {
    let date = httpdate::parse_http_date(date).ok()?;
    let date = date.duration_since(UNIX_EPOCH).ok()?.as_millis();
    let [date, sent, received] = [date, sent_unix_ms.into(), received_unix_ms.into()];
    let [date, sent, received] =
        [date, sent, received].map(|it| i64::try_from(it).unwrap_or(i64::MAX));
    let least = date.saturating_sub(received);
    let most = date.saturating_add(1000).saturating_sub(sent);
    match (least..=most).contains(&0) {
        true => Some(0),
        false => Some(least.saturating_add(most.saturating_sub(least) / 2)),
    }
}

const STATUS: &str = ":status";
const DATE: &str = "date";
const SERVER: &str = "server";
const API_VERSION: &str = "docker-distribution-api-version";
const CHALLENGE: &str = "www-authenticate";

#[cfg(test)]
mod tests {
    use super::*;

    /// Tue, 15 Nov 1994 08:12:31 GMT, the example of RFC 9110.
    const DATE_MS: u64 = 784_887_151_000;

    #[test]
    fn a_clock_is_as_far_off_as_date_can_tell() {
        let date = "Tue, 15 Nov 1994 08:12:31 GMT";
        let cases = [
            ("the very second", date, 0, 400, Some(0)),
            ("its fraction is not in the header", date, 900, 990, Some(0)),
            ("a slow answer leaves it open", date, -5000, 3000, Some(0)),
            ("ahead", date, -10_000, -9800, Some(10_400)),
            ("behind", date, 60_000, 60_200, Some(-59_600)),
            ("not a date", "yesterday", 0, 0, None),
            (
                "an older form",
                "Tuesday, 15-Nov-94 08:12:31 GMT",
                0,
                0,
                Some(0),
            ),
        ];
        for (why, date, sent, received, expected) in cases {
            let at = |offset: i64| DATE_MS.saturating_add_signed(offset);
            let offset = clock_offset_ms(date, at(sent), at(received));
            assert_eq!(offset, expected, "{why}");
        }
    }

    #[test]
    fn a_clock_that_was_never_set_is_far_behind() {
        let date = "Thu, 01 Jan 1970 00:00:10 GMT";
        let offset = clock_offset_ms(date, DATE_MS, DATE_MS);
        assert_eq!(offset, Some(10_500 - DATE_MS as i64));
    }

    #[test]
    fn headers_are_made_printable() {
        let header = |name: &str| (name == SERVER).then(|| "nginx\r\nx: y".to_owned());
        let observation = Observation::of(header, 0, 0);
        assert_eq!(observation.server.as_deref(), Some(r"nginx\u{d}\u{a}x: y"));
        assert_eq!(observation.challenge, None);
    }
}

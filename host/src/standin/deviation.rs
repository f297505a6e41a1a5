//! What sets a replica apart from the others of its registry.

use std::time::{Duration, SystemTime};

use http::header::{DATE, LOCATION, SERVER};
use http::response::Parts;
use http::{HeaderName, HeaderValue, StatusCode};

/// What sets a replica apart from the others of its registry. By itself it has the
/// machine's clock, names no software and serves plain HTTP like HTTPS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deviation {
    /// How far its clock is ahead.
    pub clock_ahead: Duration,
    /// The header `Server`.
    pub server: Option<String>,
    /// Where requests in the clear are redirected to, other than health requests.
    pub redirect: Option<String>,
    /// Another secret than the others' signs the state of its uploads.
    pub secret: String,
    /// It does not share its storage with those that have another.
    pub storage: String,
    /// This often it does not know an upload that it shares: its storage lags.
    pub lag: usize,
}

impl Deviation {
    /// Has it show in the head of an answer.
    pub(super) fn show(&self, head: &mut Parts) {
        if !self.clock_ahead.is_zero() {
            let date = httpdate::fmt_http_date(SystemTime::now() + self.clock_ahead);
            insert(head, DATE, &date);
        }
        if let Some(server) = &self.server {
            insert(head, SERVER, server);
        }
    }

    /// Has an answer in the clear lead elsewhere.
    pub(super) fn redirect(&self, head: &mut Parts) {
        if let Some(to) = &self.redirect {
            head.status = StatusCode::MOVED_PERMANENTLY;
            insert(head, LOCATION, to);
        }
    }
}

fn insert(head: &mut Parts, name: HeaderName, value: &str) {
    // What is no value of a header is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        head.headers.insert(name, value);
    }
}

//! Requests and responses of the admin listener.

use serde::Serialize;

/// A request, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header names, in lower case, and values; `:authority` among them.
    pub headers: Vec<(String, String)>,
    /// Who asks: an address and a port; empty: the host does not say.
    pub client: String,
    /// The body, once it is complete.
    pub body: Vec<u8>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body. To `HEAD` the host answers without it, and with the same headers:
    /// an empty one would cost the answer its content type in Envoy.
    pub body: Vec<u8>,
}

/// A request's body may have this many bytes.
pub const BODY_LIMIT: usize = 4096;

impl Request {
    /// Whether the answer has to wait for the body.
    pub fn has_body(&self) -> bool {
        !self.is_read() && self.states().next().is_none()
    }

    /// The states asked for in the query, as in `/replicas/r1?state=drain`: hosts that hand
    /// a request over without its body can be asked for one too.
    pub(crate) fn states(&self) -> impl Iterator<Item = &str> {
        let (_, query) = self.path.split_once('?').unwrap_or_default();
        query
            .split('&')
            .filter_map(|field| field.strip_prefix("state="))
    }

    /// Whether it changes nothing.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// The path without its query.
    pub(crate) fn route(&self) -> &str {
        self.path.split(['?', '#']).next().unwrap_or_default()
    }

    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Response {
    /// A body of JSON.
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Response {
        let headers = [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ];
        Response {
            status,
            headers: owned(&headers),
            body: serde_json::to_vec(body).unwrap_or_default(),
        }
    }

    /// `{"error": "..."}`.
    pub(crate) fn error(status: u16, error: &str) -> Response {
        #[derive(Serialize)]
        struct Problem<'a> {
            error: &'a str,
        }
        Response::json(status, &Problem { error })
    }

    /// The method is none of these.
    pub(crate) fn not_allowed(allowed: &str) -> Response {
        let text = format!("the method is not one of {allowed}");
        Response::error(405, &text).with("allow", allowed)
    }

    /// With one more header.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Response {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// What the log calls the refusal of a change with this status.
#[must_use]
pub const fn refusal_name(status: u16) -> &'static str {
    match status {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not-found",
        _ => "malformed",
    }
}

/// Headers as a response holds them.
pub(crate) fn owned(headers: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let headers = headers.iter();
    headers
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

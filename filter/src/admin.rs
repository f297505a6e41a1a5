//! What the admin listener answers.

use crate::balancer::Balancer;
use crate::board::{self, Store};
use crate::moment::Moment;
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
    /// The body, once it is complete.
    pub body: Vec<u8>,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// What the client is told of the body.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty when the request was `HEAD`.
    pub body: Vec<u8>,
}

impl Request {
    /// Whether the answer has to wait for the body.
    pub fn has_body(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }
}

/// A request's body may have this many bytes.
pub const BODY_LIMIT: usize = 4096;

impl Balancer {
    /// Answers a request of the admin listener.
    pub fn answer(&mut self, request: &Request, store: &mut impl Store, now: Moment) -> Response {
        // The VM asked may not be the one that probes, nor have had a connection since.
        if board::version(store) != self.version() {
            self.refresh(store, now);
        }
        let path = request.path.split(['?', '#']).next().unwrap_or_default();
        let is_read = matches!(request.method.as_str(), "GET" | "HEAD");
        let response = match path {
            "/_ping" | "/status" if !is_read => not_allowed("GET, HEAD"),
            "/_ping" => self.ping(store),
            "/status" => json(200, &self.status(store, now)),
            _ => error(404, "there is nothing here; try /_ping or /status"),
        };
        match request.method.as_str() {
            "HEAD" => Response {
                body: Vec::new(),
                ..response
            },
            _ => response,
        }
    }

    fn ping(&mut self, store: &mut impl Store) -> Response {
        self.learn_details(store);
        let health = self.health();
        let healthy = health.is_ok();
        let error = health.err().unwrap_or_default();
        json(if healthy { 200 } else { 503 }, &Ping { error, healthy })
    }
}

/// The answer's form is the registry's own, so that balancers can be stacked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ping {
    error: String,
    healthy: bool,
}

#[derive(Debug, Serialize)]
struct Problem<'a> {
    error: &'a str,
}

fn error(status: u16, error: &str) -> Response {
    json(status, &Problem { error })
}

fn not_allowed(allowed: &str) -> Response {
    let told = format!("the method is not one of {allowed}");
    let mut response = error(405, &told);
    response.headers.push(("allow", allowed.to_owned()));
    response
}

fn json(status: u16, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).unwrap_or_default();
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ];
    let headers = headers
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec();
    Response {
        status,
        headers,
        body,
    }
}

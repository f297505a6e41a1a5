//! What the admin listener answers.

use crate::admin::access::{self, Denied};
use crate::admin::page;
use crate::balance::replica::{Order, ReplicaId};
use crate::balancer::Balancer;
use crate::health::probe_response::visible;
use crate::shared::board::{self, Lost, Store};
use crate::time::Moment;
use serde::{Deserialize, Serialize};

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
    /// The body. To `HEAD` the host answers without it, and with the same headers:
    /// an empty one would cost the answer its content type in Envoy.
    pub body: Vec<u8>,
}

impl Request {
    /// Whether the answer has to wait for the body.
    pub fn has_body(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(told, _)| told == name)
            .map(|(_, value)| value.as_str())
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
        match (path, path.strip_prefix("/replicas/")) {
            ("/" | "/_ping" | "/status", _) if !is_read => not_allowed("GET, HEAD"),
            ("/", _) => page::page(),
            ("/_ping", _) => self.ping(store),
            ("/status", _) => json(200, &self.status(store, now)),
            (_, Some(_)) if request.method != "PUT" => not_allowed("PUT"),
            (_, Some(name)) => self.change(name, request, store, now),
            _ => error(404, "there is nothing here; try /, /_ping or /status"),
        }
    }

    /// `PUT /replicas/NAME` with `{"state": "drain"}`.
    fn change(
        &mut self,
        name: &str,
        request: &Request,
        store: &mut impl Store,
        now: Moment,
    ) -> Response {
        // Before anything else: strangers learn nothing, not even names.
        if let Err(denied) = access::admit(request, &self.config.admin) {
            let mut response = error(denied.status(), denied.told());
            if denied == Denied::Token {
                response
                    .headers
                    .push(("www-authenticate", "Bearer".to_owned()));
            }
            return response;
        }
        let kind = request.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return error(
                415,
                "the body must be JSON: send `content-type: application/json`",
            );
        }
        if request.body.len() > BODY_LIMIT {
            return error(413, &format!("the body is longer than {BODY_LIMIT} bytes"));
        }
        let is_listed = |id: &ReplicaId| self.pool.get(*id).is_some_and(|it| it.place.is_some());
        let Some(id) = self.replica(name).filter(is_listed) else {
            return error(404, &format!("there is no replica \"{}\"", visible(name)));
        };
        // An object, not whatever serde reads as a struct.
        let wanted: serde_json::Result<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_slice(&request.body);
        let wanted = wanted.and_then(|wanted| serde_json::from_value::<Change>(wanted.into()));
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(problem) => {
                return error(
                    400,
                    &format!("the body is not {{\"state\": \"...\"}}: {problem}"),
                );
            }
        };
        let Some(order) = Order::named(&wanted.state) else {
            let told = visible(&wanted.state);
            let words = "ready, drain or maintenance";
            return error(400, &format!("state \"{told}\" is not one of {words}"));
        };
        match self.order(store, id, order, now) {
            Ok(()) => json(200, &Changed { name, state: order }),
            Err(Lost) => error(
                503,
                "the change could not be shared with all workers; try again",
            ),
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    state: String,
}

#[derive(Debug, Serialize)]
struct Changed<'a> {
    name: &'a str,
    state: Order,
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

//! What the admin listener answers.

use super::access::{self, Denied};
use super::http::{BODY_LIMIT, Request, Response};
use super::page;
use super::readiness;
use super::status::Status;
use crate::balance::order::Order;
use crate::balance::replica::ReplicaId;
use crate::balancer::Balancer;
use crate::printable::printable;
use crate::shared::board::{Lost, Store};
use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// Answers a request of the admin listener.
pub fn answer(
    balancer: &mut Balancer,
    request: &Request,
    store: &mut impl Store,
    now: Moment,
) -> Response {
    // The VM asked may not be the one that probes, nor have had a connection since.
    if balancer.shared().is_behind(store) {
        balancer.refresh(store, now);
    }
    let path = request.route();
    match (path, path.strip_prefix("/replicas/")) {
        ("/" | "/_ping" | "/status", _) if !request.is_read() => Response::not_allowed("GET, HEAD"),
        ("/", _) => page::page(),
        ("/_ping", _) => ping(balancer, store),
        ("/status", _) => Response::json(200, &Status::of(balancer, store, now)),
        (_, Some(_)) if request.method != "PUT" => Response::not_allowed("PUT"),
        (_, Some(name)) => change(balancer, name, request, store, now),
        _ => Response::error(404, "there is nothing here; try /, /_ping or /status"),
    }
}

fn ping(balancer: &mut Balancer, store: &mut impl Store) -> Response {
    balancer.learn_details(store);
    let readiness = readiness::check(balancer);
    let healthy = readiness.is_ok();
    let error = readiness.err().unwrap_or_default();
    let status = if healthy { 200 } else { 503 };
    Response::json(status, &Ping { error, healthy })
}

/// `PUT /replicas/NAME` with `{"state": "drain"}`, or `PUT /replicas/NAME?state=drain`.
fn change(
    balancer: &mut Balancer,
    name: &str,
    request: &Request,
    store: &mut impl Store,
    now: Moment,
) -> Response {
    // First of all: without access nothing can be learned, not even names.
    if let Err(denied) = access::admit(request, &balancer.config().admin) {
        let response = Response::error(denied.status(), denied.message());
        return match denied {
            Denied::Token => response.with("www-authenticate", "Bearer"),
            _ => response,
        };
    }
    let (id, order) = match parse(balancer, name, request) {
        Ok(parsed) => parsed,
        Err(response) => return response,
    };
    match balancer.order(store, id, order, now) {
        Ok(()) => Response::json(200, &Changed { name, state: order }),
        Err(Lost) => Response::error(
            503,
            "the change could not be shared with all workers; try again",
        ),
    }
}

/// What a change asks for, or why it can't be made.
fn parse(
    balancer: &Balancer,
    name: &str,
    request: &Request,
) -> Result<(ReplicaId, Order), Response> {
    let state = match request.state() {
        Some(state) => state.to_owned(),
        None => state_of_body(request)?,
    };
    let pool = balancer.pool();
    let is_listed = |id: &ReplicaId| pool.get(*id).is_some_and(|it| it.position.is_some());
    let Some(id) = balancer.replica(name).filter(is_listed) else {
        let text = format!("there is no replica \"{}\"", printable(name));
        return Err(Response::error(404, &text));
    };
    let Some(order) = Order::named(&state) else {
        let state = printable(&state);
        let text = format!("state \"{state}\" is not one of ready, drain or maintenance");
        return Err(Response::error(400, &text));
    };
    Ok((id, order))
}

/// The state that the body asks for, `{"state": "drain"}`.
fn state_of_body(request: &Request) -> Result<String, Response> {
    let media_type = request.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let text = "the body must be JSON: send `content-type: application/json`, or \
                    ?state=STATE instead of a body";
        return Err(Response::error(415, text));
    }
    if request.body.len() > BODY_LIMIT {
        let text = format!("the body is longer than {BODY_LIMIT} bytes");
        return Err(Response::error(413, &text));
    }
    // An object, not whatever serde reads as a struct.
    let object: serde_json::Result<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_slice(&request.body);
    let change = object.and_then(|object| serde_json::from_value::<Change>(object.into()));
    change.map(|change| change.state).map_err(|problem| {
        let text = format!("the body is not {{\"state\": \"...\"}}: {problem}");
        Response::error(400, &text)
    })
}

/// The form is the registry's own, so that balancers can be stacked.
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

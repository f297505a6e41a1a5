//! What the admin listener answers.

use super::access::{self, Purpose};
use super::http::{BODY_LIMIT, Request, Response, refusal_name};
use super::page;
use super::readiness;
use super::status::{ServicesStatus, Status};
use crate::balance::order::{NewOrder, Order};
use crate::balance::replica::ReplicaId;
use crate::balancer::Balancer;
use crate::contract::{LogField, LogLine};
use crate::printable::printable;
use crate::shared::board::{Lost, Store};
use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// Answers a request of the admin listener, for the only registry or for all services. Who
/// is refused a change is logged.
pub fn answer(
    balancers: &mut [&mut Balancer],
    request: &Request,
    store: &mut impl Store,
    now: Moment,
) -> Response {
    let response = respond(balancers, request, store, now);
    if request.method == "PUT"
        && (400..500).contains(&response.status)
        && let Some(first) = balancers.first_mut()
    {
        first.log_refused(|left_out| refused(request, response.status, left_out), now);
    }
    response
}

/// The line of a change that is refused. What the request says besides its path, which may
/// be a wrong token, is not in it.
fn refused(request: &Request, status: u16, left_out: u64) -> LogLine {
    let reason = refusal_name(status);
    let path = printable(request.route());
    let mut text = format!("PUT {path} is refused: {status}, {reason}");
    if left_out > 0 {
        text.push_str(&format!("; {left_out} more before it are not logged"));
    }
    LogLine::new(text)
        .with(LogField::Reason, reason)
        .with(LogField::Client, &request.client)
}

fn respond(
    balancers: &mut [&mut Balancer],
    request: &Request,
    store: &mut impl Store,
    now: Moment,
) -> Response {
    // The VM asked may not be the one that probes, nor have had a connection since.
    for balancer in &mut *balancers {
        if balancer.shared().is_behind(store) {
            balancer.refresh(store, now);
        }
    }
    let path = request.route();
    // First of all: without access nothing can be learned, not even names.
    let purpose = match (path, request.method.as_str()) {
        // What is in front of the balancer is given no token to ask for its health.
        ("/_ping", _) => None,
        (_, "PUT") => Some(Purpose::Change),
        _ => Some(Purpose::Read),
    };
    if let (Some(purpose), Some(first)) = (purpose, balancers.first())
        && let Err(denied) = access::admit(request, purpose, &first.config().admin)
    {
        return denied;
    }
    match (path, path.strip_prefix("/replicas/")) {
        ("/" | "/_ping" | "/status", _) if !request.is_read() => Response::not_allowed("GET, HEAD"),
        ("/", _) => page::page(),
        ("/_ping", _) => ping(balancers, store),
        ("/status", _) => status(balancers, store, now),
        (_, Some(_)) if request.method != "PUT" => Response::not_allowed("PUT"),
        (_, Some(name)) => change(balancers, name, request, store, now),
        _ => Response::error(404, "there is nothing here; try /, /_ping or /status"),
    }
}

fn status(balancers: &mut [&mut Balancer], store: &mut impl Store, now: Moment) -> Response {
    match balancers {
        [only] if only.config().service.is_none() => {
            Response::json(200, &Status::of(only, store, now))
        }
        _ => Response::json(200, &ServicesStatus::of(balancers, store, now)),
    }
}

fn ping(balancers: &mut [&mut Balancer], store: &mut impl Store) -> Response {
    for balancer in &mut *balancers {
        balancer.learn_details(store);
    }
    let readiness = readiness::check_any(balancers.iter().map(|one| &**one));
    let healthy = readiness.is_ok();
    let error = readiness.err().unwrap_or_default();
    let status = if healthy { 200 } else { 503 };
    Response::json(status, &Ping { error, healthy })
}

/// `PUT /replicas/NAME` with `{"state": "drain"}`, or `PUT /replicas/NAME?state=drain`.
fn change(
    balancers: &mut [&mut Balancer],
    name: &str,
    request: &Request,
    store: &mut impl Store,
    now: Moment,
) -> Response {
    let change = match Change::of(request) {
        Ok(change) => change,
        Err(response) => return response,
    };
    let (balancer, id, new) = match find(balancers, name, &change, &request.client) {
        Ok(found) => found,
        Err(response) => return response,
    };
    match balancer.order(store, id, new, now) {
        Ok(()) => {
            let state = new.order;
            Response::json(200, &Changed { name, state })
        }
        Err(Lost) => Response::error(
            503,
            "the change could not be shared with all workers; try again",
        ),
    }
}

/// What a change asks for, and whose replica it is, or why it can't be made.
fn find<'a, 'c>(
    balancers: &'a mut [&mut Balancer],
    name: &str,
    change: &'c Change,
    client: &'c str,
) -> Result<(&'a mut Balancer, ReplicaId, NewOrder<'c>), Response> {
    let named = balancers
        .iter_mut()
        .find_map(|balancer| Some((listed(balancer, name)?, &mut **balancer)));
    let Some((id, balancer)) = named else {
        let text = format!("there is no replica \"{}\"", printable(name));
        return Err(Response::error(404, &text));
    };
    let Some(order) = Order::named(&change.state) else {
        let state = printable(&change.state);
        let text = format!("state \"{state}\" is not one of ready, drain or maintenance");
        return Err(Response::error(400, &text));
    };
    let comment = change.comment.as_deref();
    let new = NewOrder {
        order,
        comment,
        client,
    };
    Ok((balancer, id, new))
}

/// The replica of this name, if it is configured.
fn listed(balancer: &Balancer, name: &str) -> Option<ReplicaId> {
    let id = balancer.replica(name)?;
    balancer.pool().get(id)?.position.map(|_| id)
}

/// What the body asks for, `{"state": "drain", "comment": "a new disk"}`.
fn change_of_body(request: &Request) -> Result<Change, Response> {
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
    // serde would read a list as the struct's fields in their order.
    if !request.body.trim_ascii_start().starts_with(b"{") {
        return Err(Response::error(400, "the body is not {\"state\": \"...\"}"));
    }
    let change: serde_json::Result<Change> = serde_json::from_slice(&request.body);
    change.map_err(|problem| {
        let text = format!("the body is not {{\"state\": \"...\"}}: {problem}");
        Response::error(400, &text)
    })
}

/// A comment may have this many characters.
const COMMENT_LIMIT: usize = 256;

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
    #[serde(default)]
    comment: Option<String>,
}

impl Change {
    fn of(request: &Request) -> Result<Change, Response> {
        let mut states = request.states();
        let change = match states.next() {
            Some(_) if states.next().is_some() => {
                return Err(Response::error(
                    400,
                    "the query has more than one state; give one",
                ));
            }
            Some(state) => Change {
                state: state.to_owned(),
                comment: None,
            },
            None => change_of_body(request)?,
        };
        let comment = change.comment.as_deref().unwrap_or_default();
        if comment.chars().count() > COMMENT_LIMIT || comment.chars().any(char::is_control) {
            let text = format!(
                "the comment is longer than {COMMENT_LIMIT} characters, or has control characters"
            );
            return Err(Response::error(400, &text));
        }
        Ok(change)
    }
}

#[derive(Debug, Serialize)]
struct Changed<'a> {
    name: &'a str,
    state: Order,
}

//! What a replica responds.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::json;

use super::blob::Blob;
use super::condition::Condition;
use super::state::{Ping, ReplicaState, lock};
use super::upload::{self, UploadAnswer, is_upload};

/// How a connection arrived.
pub(super) struct Arrived {
    pub(super) scheme: &'static str,
    /// Over TLS: the name in the client's hello (SNI).
    pub(super) sni: Option<String>,
}

type ReplicaResponse = Response<BoxBody<Bytes, hyper::Error>>;

pub(super) async fn respond(
    request: Request<Incoming>,
    state: &ReplicaState,
    arrived: &Arrived,
) -> Result<ReplicaResponse, http::Error> {
    let path = request.uri().path().to_owned();
    let mut response = match path.as_str() {
        path if is_health(path) => health(&request, state, arrived).await?,
        "/v2/" => unauthorized("Bearer realm=\"stand-in\"")?,
        "/echo" => Response::new(request.into_body().boxed()),
        "/auth/token" => token(&request)?,
        path if is_upload(path) => upload(&request, state, arrived)?,
        "/api/v0/meta/cluster_status" => cluster_status(&request, state)?,
        _ => match path.strip_prefix("/blob/").map(str::parse) {
            Some(Ok(size)) => Response::new(Blob::of(size).map_err(|no| match no {}).boxed()),
            Some(Err(_)) => json(
                StatusCode::BAD_REQUEST,
                json!({ "error": "give the size in bytes: /blob/1000000" }),
            )?,
            None => json(StatusCode::OK, echo(&request, state, arrived))?,
        },
    };
    let name = HeaderValue::from_str(&state.name)?;
    response.headers_mut().insert("x-replica", name);
    response.headers_mut().insert(
        "docker-distribution-api-version",
        HeaderValue::from_static("registry/2.0"),
    );
    let (mut head, body) = response.into_parts();
    let deviation = state.deviation();
    deviation.show(&mut head);
    if arrived.scheme == "http" && !is_health(&path) {
        deviation.redirect(&mut head);
    }
    Ok(Response::from_parts(head, body))
}

/// Whether it is asked there how the replica is.
fn is_health(path: &str) -> bool {
    matches!(path, "/_ping" | "/health")
}

async fn health(
    request: &Request<Incoming>,
    state: &ReplicaState,
    arrived: &Arrived,
) -> Result<ReplicaResponse, http::Error> {
    state.record(Ping {
        path: request.uri().to_string(),
        host: host(request),
        sni: arrived.sni.clone(),
        scheme: arrived.scheme,
    });
    match state.condition() {
        Condition::Healthy => json(StatusCode::OK, json!({ "Error": "", "Healthy": true })),
        Condition::Failing(error) => json(
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "Error": error, "Healthy": false }),
        ),
        Condition::Disagreeing(error) => {
            json(StatusCode::OK, json!({ "Error": error, "Healthy": false }))
        }
        Condition::Hanging | Condition::Gone => std::future::pending().await,
    }
}

/// The health of all replicas, to a client that is logged in.
fn cluster_status(
    request: &Request<Incoming>,
    state: &ReplicaState,
) -> Result<ReplicaResponse, http::Error> {
    if !is_admin(request) {
        return unauthorized("Basic realm=\"stand-in\"");
    }
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let members = lock(&state.members);
    let health: BTreeMap<&str, String> = members
        .iter()
        .map(|member| {
            let health = match member.condition() {
                Condition::Healthy => "OK".to_owned(),
                Condition::Failing(error) | Condition::Disagreeing(error) => error,
                Condition::Hanging | Condition::Gone => "no answer".to_owned(),
            };
            (member.name.as_str(), health)
        })
        .collect();
    let timestamps: BTreeMap<&str, &str> =
        health.keys().map(|name| (*name, now.as_str())).collect();
    json(
        StatusCode::OK,
        json!({ "replica_health": health, "replica_timestamp": timestamps }),
    )
}

/// A token, for what the user asks.
fn token(request: &Request<Incoming>) -> Result<ReplicaResponse, http::Error> {
    match is_admin(request) {
        true => json(StatusCode::OK, json!({ "token": TOKEN })),
        false => unauthorized("Basic realm=\"stand-in\""),
    }
}

fn upload(
    request: &Request<Incoming>,
    state: &ReplicaState,
    arrived: &Arrived,
) -> Result<ReplicaResponse, http::Error> {
    if !has(request, &format!("Bearer {TOKEN}")) {
        let host = host(request).unwrap_or_default();
        let scheme = arrived.scheme;
        return unauthorized(&format!(
            "Bearer realm=\"{scheme}://{host}/auth/token\",service=\"{host}\""
        ));
    }
    let (path, query) = (request.uri().path(), request.uri().query());
    let answered = upload::answer(request.method(), path, query.unwrap_or_default(), state);
    let (status, location) = match answered {
        UploadAnswer::Begun(location) => (StatusCode::ACCEPTED, location),
        UploadAnswer::Known | UploadAnswer::Deleted => (StatusCode::NO_CONTENT, String::new()),
        UploadAnswer::Refused(status, code) => {
            return json(status, json!({ "errors": [{ "code": code }] }));
        }
    };
    let mut response = Response::new(Full::from("").map_err(|no| match no {}).boxed());
    *response.status_mut() = status;
    if !location.is_empty() {
        let location = HeaderValue::from_str(&location)?;
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

fn is_admin(request: &Request<Incoming>) -> bool {
    has(
        request,
        &format!("Basic {}", BASE64.encode("admin:password")),
    )
}

fn has(request: &Request<Incoming>, authorization: &str) -> bool {
    let given = request.headers().get(AUTHORIZATION);
    given.is_some_and(|given| given.as_bytes() == authorization.as_bytes())
}

/// The request as it arrived.
fn echo(request: &Request<Incoming>, state: &ReplicaState, arrived: &Arrived) -> serde_json::Value {
    json!({
        "replica": state.name,
        "scheme": arrived.scheme,
        "sni": arrived.sni,
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "host": host(request),
    })
}

fn host(request: &Request<Incoming>) -> Option<String> {
    let host = request.headers().get(HOST)?;
    Some(String::from_utf8_lossy(host.as_bytes()).into_owned())
}

fn unauthorized(challenge: &str) -> Result<ReplicaResponse, http::Error> {
    let mut response = json(
        StatusCode::UNAUTHORIZED,
        json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "authentication required" }] }),
    )?;
    let challenge = HeaderValue::from_str(challenge)?;
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    Ok(response)
}

fn json(status: StatusCode, body: serde_json::Value) -> Result<ReplicaResponse, http::Error> {
    let body = Full::from(format!("{body}\n"));
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(body.map_err(|no| match no {}).boxed())
}

/// What lets one upload.
const TOKEN: &str = "stand-in";

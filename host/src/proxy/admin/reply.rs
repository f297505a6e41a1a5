//! Replies on the admin listener.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::filters::effects::LocalResponse;

pub(super) type Reply = Response<Full<Bytes>>;

/// A text of some kind.
pub(super) fn reply(status: StatusCode, kind: &'static str, text: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

/// A body of JSON.
pub(super) fn json(body: &impl Serialize) -> Reply {
    match serde_json::to_string(body) {
        Ok(text) => reply(StatusCode::OK, JSON, text + "\n"),
        Err(problem) => error(StatusCode::INTERNAL_SERVER_ERROR, &problem.to_string()),
    }
}

/// An error as the filter's API shows it.
pub(super) fn error(status: StatusCode, message: &str) -> Reply {
    let text = format!("{}\n", serde_json::json!({ "error": message }));
    reply(status, JSON, text)
}

pub(super) fn filter_is_down() -> Reply {
    error(
        StatusCode::SERVICE_UNAVAILABLE,
        "the filter is down; it is being restarted",
    )
}

/// Of a generation that has handed everything over. Clients come again, to the next process.
pub(super) fn another_takes_over() -> Reply {
    let mut reply = error(
        StatusCode::SERVICE_UNAVAILABLE,
        "another process is taking over, and answers in a moment; ask again",
    );
    let close = HeaderValue::from_static("close");
    reply.headers_mut().insert(CONNECTION, close);
    reply
}

pub(super) fn not_found(path: &str) -> Reply {
    error(StatusCode::NOT_FOUND, &format!("nothing at {path}"))
}

/// What a filter replied.
pub(super) fn from_filter(response: LocalResponse) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(response.body)));
    let status = u16::try_from(response.status)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    *reply.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        if name == http::header::CONTENT_LENGTH.as_str() {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&value)) {
            reply.headers_mut().append(name, value);
        }
    }
    reply
}

pub(super) const JSON: &str = "application/json";

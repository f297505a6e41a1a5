//! Replies to HTTP calls: read from a replica, or made up as Envoy makes them up.

use std::time::Duration;

use bytes::BytesMut;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::net::headers::{pairs, response_headers};
use crate::upstream::connect::ConnectError;
use proxy_wasm_engine::envoy::reset_reason::{CONNECTION_TERMINATION, PROTOCOL_ERROR};
use proxy_wasm_engine::envoy::{REQUEST_TIMEOUT, SERVICE_TIME, local_reply, reset_before_headers};
use proxy_wasm_engine::{CallReply, Headers};

/// Why a call has no reply of a replica.
pub(crate) enum CallFailure {
    /// Not within the call's timeout.
    TimedOut,
    NotConnected(ConnectError),
    /// Connected, then closed before the reply's head.
    Reset,
    /// What came is no HTTP, or its head is too long.
    NotHttp,
    /// Closed within the reply's body, or the body is too long.
    BodyReset,
}

impl CallFailure {
    /// A request that can't be made, which Envoy does not know of.
    pub(crate) fn bad_request(reason: String) -> CallFailure {
        CallFailure::NotConnected(ConnectError::Failed(reason))
    }

    /// The reply Envoy makes up. It lacks [`SERVICE_TIME`].
    pub(crate) fn into_reply(self) -> CallReply {
        match self {
            CallFailure::TimedOut => local_reply(504, REQUEST_TIMEOUT),
            CallFailure::NotConnected(error) => local_reply(503, &error.message()),
            CallFailure::Reset => local_reply(503, &reset_before_headers(CONNECTION_TERMINATION)),
            CallFailure::NotHttp => local_reply(503, &reset_before_headers(PROTOCOL_ERROR)),
            // As in Envoy: a reply that stopped half way is none.
            CallFailure::BodyReset => CallReply {
                headers: Headers::new(),
                body: Vec::new(),
                trailers: Headers::new(),
            },
        }
    }
}

impl From<ConnectError> for CallFailure {
    fn from(error: ConnectError) -> CallFailure {
        CallFailure::NotConnected(error)
    }
}

impl From<hyper::Error> for CallFailure {
    /// An error before the reply's head.
    fn from(error: hyper::Error) -> CallFailure {
        if error.is_parse() {
            CallFailure::NotHttp
        } else {
            CallFailure::Reset
        }
    }
}

/// Reads a replica's reply to its end; its head took `waited`.
pub(crate) async fn read(
    response: Response<Incoming>,
    waited: Duration,
) -> Result<CallReply, CallFailure> {
    let (head, body) = response.into_parts();
    let (body, trailers) = read_body(body).await?;
    let mut headers = response_headers(&head);
    let waited = waited.as_millis().to_string();
    headers.push((SERVICE_TIME.to_owned(), waited.into_bytes()));
    Ok(CallReply {
        headers,
        body,
        trailers,
    })
}

async fn read_body(mut body: Incoming) -> Result<(Vec<u8>, Headers), CallFailure> {
    let mut bytes = BytesMut::new();
    let mut trailers = Headers::new();
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| CallFailure::BodyReset)?.into_data() {
            Ok(data) if bytes.len() + data.len() > MAX_BODY => return Err(CallFailure::BodyReset),
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.trailers_ref().into_iter().flat_map(pairs)),
        }
    }
    Ok((bytes.to_vec(), trailers))
}

/// A longer body is not read to its end. Health answers are small.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

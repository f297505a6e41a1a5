//! Makes the guest's HTTP calls, and makes up the replies Envoy would make up.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::{Instant, timeout};

use crate::plan::Protocol;
use crate::upstream::connect::{ConnectError, connect, drive};
use crate::upstream::endpoint::Endpoint;
use proxy_wasm_engine::envoy::reset_reason::{
    CONNECTION_TERMINATION, CONNECTION_TIMEOUT, PROTOCOL_ERROR,
};
use proxy_wasm_engine::envoy::{
    REQUEST_TIMEOUT, SERVICE_TIME, local_reply, not_connected, reset_before_headers,
};
use proxy_wasm_engine::{CallReply, Headers};

/// One request of the guest.
pub(crate) struct Call {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// From the dispatch to the last byte of the answer; `None`: no limit.
    pub(crate) timeout: Option<Duration>,
}

impl Call {
    /// Makes the request on a connection of its own. Whatever happens becomes a
    /// reply: the replica's, or one made up as Envoy makes it up.
    pub(crate) async fn make(self, to: &Endpoint) -> CallReply {
        let limit = self.timeout;
        let making = self.attempt(to);
        let outcome = match limit {
            Some(limit) => timeout(limit, making).await.unwrap_or(Err(Failure::Late)),
            None => making.await,
        };
        outcome.unwrap_or_else(Failure::into_reply)
    }

    async fn attempt(self, to: &Endpoint) -> Result<CallReply, Failure> {
        let started = Instant::now();
        let (mut request, authority) = self.into_request().map_err(Failure::NotConnected)?;
        let socket = TokioIo::new(connect(to, &authority).await?);
        match to.protocol {
            Protocol::Http1 => {
                let host = HeaderValue::from_str(&authority)
                    .map_err(|error| Failure::NotConnected(error.to_string()))?;
                let close = HeaderValue::from_static("close");
                let headers = request.headers_mut();
                headers.insert(http::header::HOST, host);
                headers.insert(http::header::CONNECTION, close);
                let handshake = hyper::client::conn::http1::handshake(socket);
                let (mut sender, connection) = handshake.await.map_err(|_| Failure::Cut)?;
                exchange(sender.send_request(request), connection, started).await
            }
            Protocol::Http2 => {
                let uri = to.absolute_uri(&authority, request.uri());
                *request.uri_mut() = uri.map_err(Failure::NotConnected)?;
                let executor = TokioExecutor::new();
                let handshake = hyper::client::conn::http2::handshake(executor, socket);
                let (mut sender, connection) = handshake.await.map_err(|_| Failure::Cut)?;
                exchange(sender.send_request(request), connection, started).await
            }
        }
    }

    fn into_request(self) -> Result<(Request<Full<Bytes>>, String), String> {
        let mut request = Request::new(Full::new(Bytes::from(self.body)));
        let mut authority = String::new();
        for (name, value) in self.headers {
            let text = || String::from_utf8_lossy(&value).into_owned();
            match name.as_str() {
                ":method" => {
                    *request.method_mut() =
                        Method::from_bytes(&value).map_err(|error| error.to_string())?;
                }
                ":path" => {
                    *request.uri_mut() = text().parse().map_err(|error| format!("{error}"))?;
                }
                ":authority" | "host" => authority = text(),
                _ if name.starts_with(':') => {}
                "connection" | "content-length" | "transfer-encoding" => {}
                _ => {
                    let name: HeaderName = name.parse().map_err(|error| format!("{error}"))?;
                    let value =
                        HeaderValue::from_bytes(&value).map_err(|error| error.to_string())?;
                    request.headers_mut().append(name, value);
                }
            }
        }
        Ok((request, authority))
    }
}

async fn exchange(
    sending: impl Future<Output = hyper::Result<Response<Incoming>>>,
    connection: impl Future,
    started: Instant,
) -> Result<CallReply, Failure> {
    let answer = async {
        let response = sending.await.map_err(|error| match error.is_parse() {
            true => Failure::NotHttp,
            false => Failure::Cut,
        })?;
        let waited = started.elapsed();
        let (head, body) = response.into_parts();
        let (body, trailers) = read_body(body).await?;
        let mut headers = vec![(":status".to_owned(), head.status.as_str().into())];
        headers.extend(pairs(&head.headers));
        headers.push((
            SERVICE_TIME.to_owned(),
            waited.as_millis().to_string().into_bytes(),
        ));
        Ok(CallReply {
            headers,
            body,
            trailers,
        })
    };
    drive(connection, answer).await
}

async fn read_body(mut body: Incoming) -> Result<(Vec<u8>, Headers), Failure> {
    let mut bytes = BytesMut::new();
    let mut trailers = Headers::new();
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| Failure::CutInBody)?.into_data() {
            Ok(data) if bytes.len() + data.len() > MOST_BODY => return Err(Failure::CutInBody),
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => {
                trailers.extend(frame.trailers_ref().into_iter().flat_map(pairs));
            }
        }
    }
    Ok((bytes.to_vec(), trailers))
}

pub(crate) fn pairs(headers: &http::HeaderMap) -> impl Iterator<Item = (String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// Not within the call's timeout.
    Late,
    /// Not connected within the cluster's connect timeout.
    ConnectLate,
    /// Not connected, for this reason.
    NotConnected(String),
    /// Connected, then closed before the answer's head.
    Cut,
    /// What came is no HTTP, or more of it than anybody reads.
    NotHttp,
    /// Closed within the answer's body, or the body is too long.
    CutInBody,
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Failure {
        match error {
            ConnectError::TimedOut => Failure::ConnectLate,
            ConnectError::Failed(reason) => Failure::NotConnected(reason),
        }
    }
}

impl Failure {
    /// In the words of a made-up reply.
    pub(crate) fn into_words(self) -> String {
        String::from_utf8_lossy(&self.into_reply().body).into_owned()
    }

    fn into_reply(self) -> CallReply {
        let body = match self {
            Failure::Late => return local_reply(504, REQUEST_TIMEOUT),
            // As in Envoy: an answer that stopped half way is none.
            Failure::CutInBody => {
                let (headers, body, trailers) = Default::default();
                return CallReply {
                    headers,
                    body,
                    trailers,
                };
            }
            Failure::ConnectLate => reset_before_headers(CONNECTION_TIMEOUT),
            Failure::NotHttp => reset_before_headers(PROTOCOL_ERROR),
            Failure::Cut => reset_before_headers(CONNECTION_TERMINATION),
            Failure::NotConnected(words) => not_connected(&words),
        };
        local_reply(503, &body)
    }
}

/// A longer body is not read to its end. Health answers are small.
const MOST_BODY: usize = 1024 * 1024;

#[cfg(test)]
mod tests;

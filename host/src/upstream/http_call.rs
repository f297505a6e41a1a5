//! Makes filters' HTTP calls.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::{Instant, timeout};

use crate::net::headers::{append, is_of_connection};
use crate::net::socket::KEEPALIVE_IDLE;
use crate::plan::Protocol;
use crate::upstream::connect::{Purpose, connect, drive};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::reply::{self, CallFailure};
use proxy_wasm_engine::{CallReply, Headers};

/// One request of a filter.
pub(crate) struct Call {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// From the dispatch to the last byte of the answer; `None`: no limit.
    pub(crate) timeout: Option<Duration>,
}

impl Call {
    /// One without a body.
    pub(crate) fn of_headers(headers: Vec<(String, String)>, timeout: Duration) -> Call {
        let headers = headers.into_iter();
        Call {
            headers: headers
                .map(|(name, value)| (name, value.into_bytes()))
                .collect(),
            body: Vec::new(),
            timeout: Some(timeout),
        }
    }

    /// Makes the request on a connection of its own. Whatever happens becomes a
    /// reply: the replica's, or one made up as Envoy makes it up.
    pub(crate) async fn make(self, to: &Endpoint) -> CallReply {
        let limit = self.timeout;
        let making = self.attempt(to);
        let outcome = match limit {
            Some(limit) => timeout(limit, making)
                .await
                .unwrap_or(Err(CallFailure::TimedOut)),
            None => making.await,
        };
        outcome.unwrap_or_else(CallFailure::into_reply)
    }

    async fn attempt(self, to: &Endpoint) -> Result<CallReply, CallFailure> {
        let started = Instant::now();
        let purpose = self.purpose(to.protocol);
        let (mut request, authority) = self.into_request().map_err(CallFailure::bad_request)?;
        let connected = connect(to, &authority, purpose).await?;
        let socket = TokioIo::new(connected.stream);
        let mut reply = match to.protocol {
            Protocol::Http1 => {
                let host = HeaderValue::from_str(&authority)
                    .map_err(|error| CallFailure::bad_request(error.to_string()))?;
                let close = HeaderValue::from_static("close");
                let headers = request.headers_mut();
                headers.insert(http::header::HOST, host);
                headers.insert(http::header::CONNECTION, close);
                let handshake = hyper::client::conn::http1::handshake(socket);
                let (mut sender, connection) = handshake.await.map_err(|_| CallFailure::Reset)?;
                exchange(sender.send_request(request), connection, started).await?
            }
            Protocol::Http2 => {
                let uri = to.absolute_uri(&authority, request.uri());
                *request.uri_mut() = uri.map_err(CallFailure::bad_request)?;
                let executor = TokioExecutor::new();
                let handshake = hyper::client::conn::http2::handshake(executor, socket);
                let (mut sender, connection) = handshake.await.map_err(|_| CallFailure::Reset)?;
                exchange(sender.send_request(request), connection, started).await?
            }
        };
        if let Some(shown) = &to.shown_certificate {
            shown.announce(connected.certificate, &mut reply.headers);
        }
        Ok(reply)
    }

    fn purpose(&self, protocol: Protocol) -> Purpose {
        let is_short = self.timeout.is_some_and(|limit| limit <= KEEPALIVE_IDLE);
        match protocol {
            Protocol::Http1 if is_short && self.body.is_empty() => Purpose::ShortExchange,
            Protocol::Http1 | Protocol::Http2 => Purpose::Any,
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
                name if is_of_connection(name) => {}
                name => append(request.headers_mut(), name, &value)?,
            }
        }
        Ok((request, authority))
    }
}

/// The reply to a call that broke off.
pub(crate) fn reset_reply() -> CallReply {
    CallFailure::Reset.into_reply()
}

async fn exchange(
    sending: impl Future<Output = hyper::Result<Response<Incoming>>>,
    connection: impl Future,
    started: Instant,
) -> Result<CallReply, CallFailure> {
    let exchange = async {
        let response = sending.await?;
        reply::read(response, started.elapsed()).await
    };
    drive(connection, exchange).await
}

#[cfg(test)]
mod tests;

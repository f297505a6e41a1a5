//! Makes filters' gRPC calls, unary and streaming, over HTTP/2.

mod frame;
mod outbound;
mod request;

pub(crate) use outbound::{Outbound, Outgoing, TooMuch, outbound};

use bytes::BytesMut;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;

use crate::net::headers::{pairs, response_headers};
use crate::upstream::connect::{Purpose, connect, drive};
use crate::upstream::endpoint::Endpoint;
use proxy_wasm_engine::envoy::grpc_status::{DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, UNKNOWN};
use proxy_wasm_engine::envoy::{REQUEST_TIMEOUT, grpc_status};
use proxy_wasm_engine::{GrpcCall, Headers};

/// What comes of a call, in the order in which the filter is to see it.
#[derive(Debug)]
pub(crate) enum GrpcEvent {
    Initial(Headers),
    Message(Vec<u8>),
    Trailing(Headers),
    /// The call is over, with gRPC's status and its message.
    Closed(u32, String),
}

/// Makes a call and reports what comes of it; [`GrpcEvent::Closed`] is the last.
pub(crate) async fn converse(
    call: &GrpcCall,
    to: &Endpoint,
    outgoing: Outgoing,
    mut report: impl FnMut(GrpcEvent),
) {
    let exchange = exchange(call, to, outgoing, &mut report);
    let Status { code, message } = match call.timeout {
        Some(limit) => timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Status::new(DEADLINE_EXCEEDED, REQUEST_TIMEOUT)),
        None => exchange.await,
    };
    report(GrpcEvent::Closed(code, message));
}

/// How a call ended.
struct Status {
    code: u32,
    message: String,
}

impl Status {
    fn new(code: u32, message: impl Into<String>) -> Status {
        let message = message.into();
        Status { code, message }
    }
}

async fn exchange(
    call: &GrpcCall,
    to: &Endpoint,
    outgoing: Outgoing,
    report: &mut impl FnMut(GrpcEvent),
) -> Status {
    let (request, authority) = match request::request(call, to, outgoing) {
        Ok(request) => request,
        Err(reason) => return Status::new(INTERNAL, reason),
    };
    let socket = match connect(to, &authority, Purpose::Any).await {
        Ok(connected) => TokioIo::new(connected.stream),
        Err(error) => return Status::new(UNAVAILABLE, error.message()),
    };
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket);
    let (mut sender, connection) = match handshake.await {
        Ok(both) => both,
        Err(error) => return Status::new(UNAVAILABLE, error.to_string()),
    };
    let exchange = async {
        match sender.send_request(request).await {
            Ok(response) => receive(response, report).await,
            Err(error) => Status::new(UNAVAILABLE, format!("reset before headers: {error}")),
        }
    };
    drive(connection, exchange).await
}

/// Envoy's order: initial metadata, messages, trailing metadata, and how it ended.
async fn receive(response: Response<Incoming>, report: &mut impl FnMut(GrpcEvent)) -> Status {
    let (head, mut body) = response.into_parts();
    let trailers_only = body.is_end_stream();
    report(GrpcEvent::Initial(if trailers_only {
        Headers::new()
    } else {
        response_headers(&head)
    }));
    let is_grpc = trailers_only && head.headers.contains_key(STATUS);
    if head.status != StatusCode::OK && !is_grpc {
        report(GrpcEvent::Trailing(Headers::new()));
        let message = format!("the answer has HTTP status {}", head.status.as_str());
        return Status::new(grpc_status::of_http(head.status.as_u16().into()), message);
    }
    if trailers_only {
        return end(&head.headers, report);
    }
    let mut buffer = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                report(GrpcEvent::Trailing(Headers::new()));
                return Status::new(INTERNAL, format!("reset: {error}"));
            }
        };
        match frame.into_data() {
            Ok(data) => buffer.extend_from_slice(&data),
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                return end(&trailers, report);
            }
        }
        loop {
            match frame::decode(&mut buffer) {
                Ok(Some(message)) => report(GrpcEvent::Message(message)),
                Ok(None) => break,
                Err(reason) => {
                    report(GrpcEvent::Trailing(Headers::new()));
                    return Status::new(INTERNAL, reason);
                }
            }
        }
    }
    end(&HeaderMap::new(), report)
}

fn end(trailers: &HeaderMap, report: &mut impl FnMut(GrpcEvent)) -> Status {
    report(GrpcEvent::Trailing(pairs(trailers).collect()));
    let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
    let code = text(STATUS).and_then(|code| code.parse().ok());
    let message = text("grpc-message").unwrap_or_default();
    Status::new(code.unwrap_or(UNKNOWN), message)
}

const STATUS: &str = "grpc-status";

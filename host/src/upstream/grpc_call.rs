//! Makes the guest's gRPC calls, unary and streaming, over HTTP/2.

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
use crate::upstream::connect::{connect, drive};
use crate::upstream::endpoint::Endpoint;
use proxy_wasm_engine::envoy::grpc_status::{DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, UNKNOWN};
use proxy_wasm_engine::envoy::{REQUEST_TIMEOUT, grpc_status};
use proxy_wasm_engine::{GrpcCall, Headers};

/// What the other end says, in the order in which the guest is to hear it.
#[derive(Debug)]
pub(crate) enum GrpcEvent {
    Initial(Headers),
    Message(Vec<u8>),
    Trailing(Headers),
    /// The call is over, with gRPC's status and its words.
    Closed(u32, String),
}

/// Makes a call and tells what comes of it. The last thing told is how it closed.
pub(crate) async fn converse(
    call: &GrpcCall,
    to: &Endpoint,
    outgoing: Outgoing,
    mut tell: impl FnMut(GrpcEvent),
) {
    let limit = call.timeout;
    let talking = talk(call, to, outgoing, &mut tell);
    let closed = match limit {
        Some(limit) => timeout(limit, talking).await.unwrap_or_else(|_| Closed {
            status: DEADLINE_EXCEEDED,
            words: REQUEST_TIMEOUT.to_owned(),
        }),
        None => talking.await,
    };
    tell(GrpcEvent::Closed(closed.status, closed.words));
}

/// How a call ended.
struct Closed {
    status: u32,
    words: String,
}

impl Closed {
    fn new(status: u32, words: impl Into<String>) -> Closed {
        let words = words.into();
        Closed { status, words }
    }
}

async fn talk(
    call: &GrpcCall,
    to: &Endpoint,
    outgoing: Outgoing,
    tell: &mut impl FnMut(GrpcEvent),
) -> Closed {
    let (request, authority) = match request::request(call, to, outgoing) {
        Ok(request) => request,
        Err(words) => return Closed::new(INTERNAL, words),
    };
    let socket = match connect(to, &authority).await {
        Ok(socket) => TokioIo::new(socket),
        Err(error) => return Closed::new(UNAVAILABLE, error.message()),
    };
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket);
    let (mut sender, connection) = match handshake.await {
        Ok(both) => both,
        Err(error) => return Closed::new(UNAVAILABLE, error.to_string()),
    };
    let listening = async {
        match sender.send_request(request).await {
            Ok(response) => listen(response, tell).await,
            Err(error) => Closed::new(UNAVAILABLE, format!("reset before headers: {error}")),
        }
    };
    drive(connection, listening).await
}

/// Envoy's order: initial metadata, messages, trailing metadata, and how it ended.
async fn listen(response: Response<Incoming>, tell: &mut impl FnMut(GrpcEvent)) -> Closed {
    let (head, mut body) = response.into_parts();
    let whole = body.is_end_stream();
    tell(GrpcEvent::Initial(if whole {
        Headers::new()
    } else {
        response_headers(&head)
    }));
    if head.status != StatusCode::OK && !(whole && head.headers.contains_key(STATUS)) {
        tell(GrpcEvent::Trailing(Headers::new()));
        let words = format!("the answer has HTTP status {}", head.status.as_str());
        return Closed::new(grpc_status::of_http(head.status.as_u16().into()), words);
    }
    if whole {
        return end(&head.headers, tell);
    }
    let mut buffer = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                tell(GrpcEvent::Trailing(Headers::new()));
                return Closed::new(INTERNAL, format!("reset: {error}"));
            }
        };
        match frame.into_data() {
            Ok(data) => buffer.extend_from_slice(&data),
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                return end(&trailers, tell);
            }
        }
        loop {
            match frame::decode(&mut buffer) {
                Ok(Some(message)) => tell(GrpcEvent::Message(message)),
                Ok(None) => break,
                Err(words) => {
                    tell(GrpcEvent::Trailing(Headers::new()));
                    return Closed::new(INTERNAL, words);
                }
            }
        }
    }
    end(&HeaderMap::new(), tell)
}

fn end(trailers: &HeaderMap, tell: &mut impl FnMut(GrpcEvent)) -> Closed {
    tell(GrpcEvent::Trailing(pairs(trailers).collect()));
    let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
    let status = text(STATUS).and_then(|status| status.parse().ok());
    Closed::new(
        status.unwrap_or(UNKNOWN),
        text("grpc-message").unwrap_or_default(),
    )
}

const STATUS: &str = "grpc-status";

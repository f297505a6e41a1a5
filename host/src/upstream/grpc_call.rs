//! Makes the guest's gRPC calls, unary and streaming, over HTTP/2.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::upstream::cluster::Endpoint;
use crate::upstream::http_call::{absolute, open, pairs};
use proxy_wasm_engine::envoy::grpc_status::{DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, UNKNOWN};
use proxy_wasm_engine::envoy::{REQUEST_TIMEOUT, grpc_status};
use proxy_wasm_engine::{GrpcCall, Headers};

/// What the other end says, in the order in which the guest is to hear it.
#[derive(Debug)]
pub(crate) enum Said {
    Initial(Headers),
    Message(Vec<u8>),
    Trailing(Headers),
    /// The call is over, with gRPC's status and its words.
    Closed(u32, String),
}

/// The guest's end of a call.
pub(crate) struct Outbound {
    messages: UnboundedSender<Bytes>,
    /// Bytes the other end has not taken yet.
    waiting: Arc<AtomicUsize>,
}

/// More waits than a guest may leave to its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl Outbound {
    /// Sends one message; to a call that is over it goes nowhere.
    ///
    /// # Errors
    /// When the other end does not keep up and too much waits for it already.
    pub(crate) fn send(&self, message: &[u8]) -> Result<(), TooMuch> {
        // The first may have any size: it fits into the guest's memory.
        if self.waiting.load(Relaxed) > MOST_WAITING {
            return Err(TooMuch);
        }
        let frame = framed(message);
        self.waiting.fetch_add(frame.len(), Relaxed);
        let _ = self.messages.send(frame);
        Ok(())
    }
}

/// What the guest sends; it ends when the [`Outbound`] is dropped.
pub(crate) struct Outgoing {
    messages: UnboundedReceiver<Bytes>,
    waiting: Arc<AtomicUsize>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.messages.poll_recv(cx);
        if let Poll::Ready(Some(message)) = &next {
            self.waiting.fetch_sub(message.len(), Relaxed);
        }
        next.map(|message| message.map(|message| Ok(Frame::data(message))))
    }
}

/// Both ends of what the guest sends.
pub(crate) fn outbound() -> (Outbound, Outgoing) {
    let (sender, receiver) = unbounded_channel();
    let waiting = Arc::<AtomicUsize>::default();
    let outbound = Outbound {
        messages: sender,
        waiting: Arc::clone(&waiting),
    };
    let messages = receiver;
    (outbound, Outgoing { messages, waiting })
}

/// Makes a call and tells what comes of it. The last thing told is how it closed.
pub(crate) async fn converse(
    call: &GrpcCall,
    to: &Endpoint,
    outgoing: Outgoing,
    mut tell: impl FnMut(Said),
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
    tell(Said::Closed(closed.status, closed.words));
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
    tell: &mut impl FnMut(Said),
) -> Closed {
    let (request, authority) = match request(call, to, outgoing) {
        Ok(request) => request,
        Err(words) => return Closed::new(INTERNAL, words),
    };
    let socket = match open(to, &authority).await {
        Ok(socket) => TokioIo::new(socket),
        Err(failure) => return Closed::new(UNAVAILABLE, failure.into_words()),
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
    // The connection is driven here, so it is gone when the call is.
    let mut connection = std::pin::pin!(connection);
    let mut listening = std::pin::pin!(listening);
    tokio::select! {
        biased;
        closed = &mut listening => closed,
        _ = &mut connection => listening.await,
    }
}

fn request(
    call: &GrpcCall,
    to: &Endpoint,
    outgoing: Outgoing,
) -> Result<(Request<Outgoing>, String), String> {
    let path = format!("/{}/{}", call.service, call.method);
    let path: Uri = path.parse().map_err(|error| format!("{path}: {error}"))?;
    // As in Envoy, the cluster's name, when it can be one of a host.
    let mut authority = call.cluster.clone();
    let uri = absolute(to, &authority, &path).or_else(|_| {
        let address = to.addresses().next();
        authority = address.map_or_else(|| "localhost".to_owned(), |address| address.to_string());
        absolute(to, &authority, &path)
    })?;
    let mut request = Request::new(outgoing);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    for (name, value) in &call.metadata {
        let ours = ["connection", "content-length", "transfer-encoding", "host"];
        if name.starts_with(':') || ours.contains(&name.as_str()) {
            continue;
        }
        let name: HeaderName = name.parse().map_err(|error| format!("{name}: {error}"))?;
        let value = HeaderValue::from_bytes(value).map_err(|error| format!("{name}: {error}"))?;
        headers.append(name, value);
    }
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Some(limit) = call.timeout {
        headers.insert("grpc-timeout", deadline(limit));
    }
    Ok((request, authority))
}

/// At most eight digits, says gRPC; so a long one is told in seconds.
fn deadline(limit: Duration) -> HeaderValue {
    let (number, unit) = match limit.as_millis() {
        millis if millis < 100_000_000 => (millis as u64, 'm'),
        _ => (limit.as_secs().min(99_999_999), 'S'),
    };
    HeaderValue::from_str(&format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("1S"))
}

/// Envoy's order: initial metadata, messages, trailing metadata, and how it ended.
async fn listen(response: Response<Incoming>, tell: &mut impl FnMut(Said)) -> Closed {
    let (head, mut body) = response.into_parts();
    let whole = body.is_end_stream();
    let mut initial = vec![(":status".to_owned(), head.status.as_str().into())];
    initial.extend(pairs(&head.headers));
    tell(Said::Initial(if whole { Headers::new() } else { initial }));
    if head.status != StatusCode::OK && !(whole && head.headers.contains_key(STATUS)) {
        tell(Said::Trailing(Headers::new()));
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
                tell(Said::Trailing(Headers::new()));
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
            match unframed(&mut buffer) {
                Ok(Some(message)) => tell(Said::Message(message)),
                Ok(None) => break,
                Err(words) => {
                    tell(Said::Trailing(Headers::new()));
                    return Closed::new(INTERNAL, words);
                }
            }
        }
    }
    end(&HeaderMap::new(), tell)
}

fn end(trailers: &HeaderMap, tell: &mut impl FnMut(Said)) -> Closed {
    tell(Said::Trailing(pairs(trailers).collect()));
    let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
    let status = text(STATUS).and_then(|status| status.parse().ok());
    Closed::new(
        status.unwrap_or(UNKNOWN),
        text("grpc-message").unwrap_or_default(),
    )
}

/// A message as it is sent: not compressed, its length, itself.
fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    // What a guest sends fits into its memory.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(message);
    frame.freeze()
}

/// The next whole message, if it is there.
fn unframed(buffer: &mut BytesMut) -> Result<Option<Vec<u8>>, &'static str> {
    let Some((prefix, rest)) = buffer.split_at_checked(PREFIX) else {
        return Ok(None);
    };
    let (flag, mut length) = prefix.split_at(1);
    if flag != [0] {
        return Err("a message is compressed, which was not offered");
    }
    let length = length.get_u32() as usize;
    if length > MOST_MESSAGE {
        return Err("a message is longer than 4 MiB");
    }
    if rest.len() < length {
        return Ok(None);
    }
    buffer.advance(PREFIX);
    Ok(Some(buffer.split_to(length).to_vec()))
}

const STATUS: &str = "grpc-status";
/// Bytes before a message: a flag and its length.
const PREFIX: usize = 5;
/// Bytes that may wait for a peer that does not take them, before another message.
const MOST_WAITING: usize = 16 << 20;
/// Longest message that is handed to the guest, bytes.
const MOST_MESSAGE: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let sent: [&[u8]; 3] = [b"one", b"", b"three"];
        let wire: Vec<u8> = sent.iter().flat_map(|message| framed(message)).collect();
        for chunk in [1, 2, 5, 7, wire.len()] {
            let mut buffer = BytesMut::new();
            let mut got = Vec::new();
            for piece in wire.chunks(chunk) {
                buffer.extend_from_slice(piece);
                while let Ok(Some(message)) = unframed(&mut buffer) {
                    got.push(message);
                }
            }
            assert_eq!(got, sent, "in chunks of {chunk}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let cases = [
            (&b"\x01\0\0\0\0"[..], "compressed"),
            (b"\0\xff\xff\xff\xff", "longer than 4 MiB"),
        ];
        for (wire, words) in cases {
            let refused = unframed(&mut BytesMut::from(wire));
            assert!(refused.is_err_and(|said| said.contains(words)), "{words}");
        }
    }

    #[test]
    fn a_peer_that_takes_nothing_does_not_fill_the_hosts_memory() {
        let (outbound, outgoing) = outbound();
        let message = vec![0; 1 << 20];
        let sent = (0..100).take_while(|_| outbound.send(&message).is_ok());
        assert_eq!(sent.count(), 16, "16 MiB may wait");
        assert_eq!(outbound.send(b""), Err(TooMuch));
        drop(outgoing);
    }

    #[test]
    fn a_deadline_has_at_most_eight_digits() {
        let cases = [
            (1, "1m"),
            (99_999_999, "99999999m"),
            (100_000_000, "100000S"),
        ];
        for (millis, expected) in cases {
            assert_eq!(deadline(Duration::from_millis(millis)), expected);
        }
    }
}

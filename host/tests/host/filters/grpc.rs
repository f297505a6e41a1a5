//! gRPC calls of a filter, to a real HTTP/2 server.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::chain::{Chain, guest};
use crate::eventually::within;

type Piece = Result<Frame<Bytes>, io::Error>;

/// A body that is what somebody sends.
struct Pieces(UnboundedReceiver<Piece>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_closed() && self.0.is_empty()
    }
}

fn message(text: &str) -> Piece {
    let mut frame = vec![0];
    frame.extend((text.len() as u32).to_be_bytes());
    frame.extend_from_slice(text.as_bytes());
    Ok(Frame::data(frame.into()))
}

fn trailers(pairs: &[(&'static str, &'static str)]) -> Piece {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.insert(*name, HeaderValue::from_static(value));
    }
    Ok(Frame::trailers(map))
}

/// The messages of a request's body.
async fn messages(body: Incoming) -> Vec<String> {
    let mut bytes = body.collect().await.unwrap().to_bytes();
    let mut messages = Vec::new();
    while bytes.has_remaining() {
        assert_eq!(bytes.get_u8(), 0, "nothing is compressed");
        let length = bytes.get_u32() as usize;
        messages.push(String::from_utf8(bytes.split_to(length).to_vec()).unwrap());
    }
    messages
}

async fn answer(
    request: Request<Incoming>,
    given_up: UnboundedSender<()>,
) -> Result<Response<Pieces>, Infallible> {
    let (sender, receiver) = unbounded_channel();
    let mut response = Response::new(Pieces(receiver));
    let headers = request.headers();
    let header = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let head = format!(
        "{:?} {:?} {:?} {:?}",
        header("content-type"),
        header("te"),
        header("x-who"),
        header("grpc-timeout")
    );
    let path = request.uri().path().to_owned();
    let tell = move |piece| sender.send(piece);
    match path.as_str() {
        "/hello.Greeter/Say" => {
            let heard = messages(request.into_body()).await.join(",");
            tell(message(&format!("{heard}: {head}"))).unwrap();
            tell(trailers(&[("grpc-status", "0")])).unwrap();
        }
        "/hello.Greeter/Fail" => {
            let headers = response.headers_mut();
            headers.insert("grpc-status", HeaderValue::from_static("5"));
            headers.insert("grpc-message", HeaderValue::from_static("no such greeting"));
            *response.body_mut() = Pieces(unbounded_channel().1);
        }
        "/hello.Greeter/Sleep" => std::future::pending().await,
        "/hello.Greeter/Chat" => {
            let greeting = HeaderValue::from_static("welcome");
            response.headers_mut().insert("x-greeting", greeting);
            tokio::spawn(async move {
                for heard in messages(request.into_body()).await {
                    tell(message(&heard.to_uppercase())).unwrap();
                }
                tell(trailers(&[("grpc-status", "0"), ("x-mood", "fine")])).unwrap();
            });
        }
        "/hello.Greeter/Forever" => {
            tell(message("first")).unwrap();
            tokio::spawn(async move {
                // Reported once the other end gives up.
                while tell(message("more")).is_ok() {
                    tokio::task::yield_now().await;
                }
                given_up.send(()).unwrap();
            });
        }
        "/hello.Greeter/Reset" => {
            tell(message("first")).unwrap();
            tokio::spawn(async move {
                // By then the other end has the first message.
                assert_eq!(messages(request.into_body()).await, ["one", "two"]);
                tell(Err(io::Error::other("enough"))).unwrap();
            });
        }
        _ => *response.status_mut() = http::StatusCode::NOT_FOUND,
    }
    Ok(response)
}

/// A gRPC server; the channel says when a client has given up.
async fn greeter() -> (SocketAddr, UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, given_up) = unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            let service = service_fn(move |request| answer(request, sender.clone()));
            let serving = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(serving.serve_connection(TokioIo::new(socket), service));
        }
    });
    (address, given_up)
}

/// What the filter says of the call it is named after.
async fn what_came_of(name: &str, wasm: &[u8], greeter: SocketAddr, nobody: Value) -> String {
    let replica = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = Chain::to(replica.local_addr().unwrap())
        .cluster(json!({ "name": "greeter", "endpoints": [greeter], "protocol": "http2" }))
        .cluster(nobody)
        .module(name, wasm, json!({ "name": name }))
        .start()
        .await;
    let mut client = host.connect().await;
    // It holds the connection until the call is over.
    let (mut socket, _) = within(name, replica.accept()).await.unwrap();
    client.write_all(b"?").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = String::new();
    within(name, socket.read_to_string(&mut got)).await.unwrap();
    got
}

#[tokio::test]
async fn a_call_and_a_stream_arrive_as_on_envoy() {
    let wasm = guest("tcp_grpc");
    let (greeter, mut given_up) = greeter().await;
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let cases = [
        (
            "Say",
            "0 hi: Some(\"application/grpc\") Some(\"trailers\") Some(\"guest\") Some(\"5000m\")\n",
            "a unary call carries metadata and its deadline",
        ),
        (
            "Fail",
            "5 no such greeting\n",
            "an answer without a message is a status",
        ),
        ("Sleep", "4 upstream request timeout\n", "a deadline"),
        (
            "Nowhere",
            "12 the answer has HTTP status 404\n",
            "no answer of gRPC's",
        ),
        (
            "Refused",
            "14 upstream connect error or disconnect/reset before headers. reset reason: \
             remote connection failure, transport failure reason: delayed connect error: \
             Connection refused\n",
            "nobody is there",
        ),
        (
            "Chat",
            "initial welcome\nmessage ONE\nmessage TWO\ntrailing fine\nclosed 0 \n",
            "a stream",
        ),
        (
            "Forever",
            "initial \nmessage first\ncancelled\n",
            "a stream the guest gives up",
        ),
    ];
    for (name, expected, why) in cases {
        let nobody = json!({ "name": "nobody", "endpoints": [nobody.local_addr().unwrap()] });
        let got = what_came_of(name, &wasm, greeter, nobody).await;
        assert_eq!(got, expected, "{name}: {why}");
        if name == "Forever" {
            let learned = within("the server to learn of it", given_up.recv()).await;
            assert_eq!(learned, Some(()));
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_closes_with_an_error() {
    let wasm = guest("tcp_grpc");
    let (greeter, _given_up) = greeter().await;
    let nobody = json!({ "name": "nobody", "endpoints": [greeter] });
    let got = what_came_of("Reset", &wasm, greeter, nobody).await;
    let last = got.lines().last().unwrap();
    assert!(last.starts_with("closed 13 "), "{got}");
}

//! Makes the guest's HTTP calls, and makes up the replies Envoy would make up.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::cluster::Endpoint;
use crate::dial;
use crate::tls;
use crate::vm::{CallReply, Headers};

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
        let (request, authority) = self.into_request().map_err(Failure::NotConnected)?;
        let socket = connect_any(&to.addresses(), to.connect_timeout).await?;
        match &to.tls {
            None => exchange(socket, request, started).await,
            Some(config) => {
                let name = tls::server_name(&authority).map_err(|error| Failure::tls(&error))?;
                let connecting = TlsConnector::from(config.clone()).connect(name, socket);
                let socket = connecting.await.map_err(|error| Failure::tls(&error))?;
                exchange(socket, request, started).await
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
        let host = HeaderValue::from_str(&authority).map_err(|error| error.to_string())?;
        request.headers_mut().insert(http::header::HOST, host);
        let close = HeaderValue::from_static("close");
        request
            .headers_mut()
            .insert(http::header::CONNECTION, close);
        Ok((request, authority))
    }
}

async fn connect_any(
    addresses: &[SocketAddr],
    limit: Duration,
) -> Result<tokio::net::TcpStream, Failure> {
    let mut failure = Failure::NotConnected("no address".to_owned());
    for address in addresses {
        match timeout(limit, dial::connect(*address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => failure = Failure::NotConnected(dial::in_envoys_words(&error)),
            Err(_) => failure = Failure::ConnectLate,
        }
    }
    Err(failure)
}

async fn exchange(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
    started: Instant,
) -> Result<CallReply, Failure> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
        .await
        .map_err(|_| Failure::Cut)?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|_| Failure::Cut)?;
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
    // The connection is driven here, so it is gone when the answer is.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
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

fn pairs(headers: &http::HeaderMap) -> impl Iterator<Item = (String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
}

/// Why there is no answer.
enum Failure {
    /// Not within the call's timeout.
    Late,
    /// Not connected within the cluster's connect timeout.
    ConnectLate,
    /// Not connected, for this reason.
    NotConnected(String),
    /// Connected, then closed before the answer's head.
    Cut,
    /// Closed within the answer's body, or the body is too long.
    CutInBody,
}

impl Failure {
    fn tls(error: &io::Error) -> Failure {
        let cause = error
            .get_ref()
            .and_then(|cause| cause.downcast_ref::<rustls::Error>());
        let words = match cause {
            Some(rustls::Error::InvalidCertificate(_)) => {
                format!("TLS_error:CERTIFICATE_VERIFY_FAILED: {error}")
            }
            _ => format!("TLS_error: {error}"),
        };
        Failure::NotConnected(words)
    }

    fn into_reply(self) -> CallReply {
        let reason = match self {
            Failure::Late => return made_up("504", "upstream request timeout".to_owned()),
            // As in Envoy: an answer that stopped half way is none.
            Failure::CutInBody => {
                let (headers, body, trailers) = Default::default();
                return CallReply {
                    headers,
                    body,
                    trailers,
                };
            }
            Failure::ConnectLate => "connection timeout".to_owned(),
            Failure::Cut => "connection termination".to_owned(),
            Failure::NotConnected(words) => {
                format!("remote connection failure, transport failure reason: {words}")
            }
        };
        const LED_BY: &str =
            "upstream connect error or disconnect/reset before headers. reset reason: ";
        made_up("503", format!("{LED_BY}{reason}"))
    }
}

/// A reply that no replica sent: it lacks [`SERVICE_TIME`].
fn made_up(status: &str, body: String) -> CallReply {
    let headers = vec![
        (":status".to_owned(), status.as_bytes().to_vec()),
        (
            "content-length".to_owned(),
            body.len().to_string().into_bytes(),
        ),
        ("content-type".to_owned(), b"text/plain".to_vec()),
    ];
    CallReply {
        headers,
        body: body.into_bytes(),
        trailers: Headers::new(),
    }
}

/// Tells a replica's answer from a made-up one, on both hosts.
const SERVICE_TIME: &str = "x-envoy-upstream-service-time";
/// A longer body is not read to its end. Health answers are small.
const MOST_BODY: usize = 1024 * 1024;

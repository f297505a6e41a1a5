//! Makes the guest's HTTP calls, and makes up the replies Envoy would make up.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::plan::Protocol;
use crate::upstream::cluster::Endpoint;
use crate::upstream::dial;
use crate::upstream::self_signed::is_own_authority;
use crate::upstream::tls;
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
        let socket = TokioIo::new(open(to, &authority).await?);
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
                let uri = absolute(to, &authority, request.uri());
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

/// A connection to an endpoint, in the clear or over TLS.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Connects to an endpoint as its cluster says.
pub(crate) async fn open(to: &Endpoint, authority: &str) -> Result<Box<dyn Wire>, Failure> {
    let socket = connect_any(to).await?;
    let Some(config) = &to.tls else {
        return Ok(Box::new(socket));
    };
    let name = tls::server_name(authority).map_err(|error| Failure::tls(&error))?;
    let connecting = TlsConnector::from(config.clone()).connect(name, socket);
    let socket = connecting.await.map_err(|error| Failure::tls(&error))?;
    Ok(Box::new(socket))
}

/// The form of a target that HTTP/2 needs.
pub(crate) fn absolute(to: &Endpoint, authority: &str, path: &Uri) -> Result<Uri, String> {
    let scheme = if to.tls.is_some() { "https" } else { "http" };
    let path = path.path_and_query().map_or("/", |path| path.as_str());
    let uri = Uri::builder().scheme(scheme).authority(authority);
    uri.path_and_query(path)
        .build()
        .map_err(|error| error.to_string())
}

async fn connect_any(to: &Endpoint) -> Result<tokio::net::TcpStream, Failure> {
    let mut failure = Failure::NotConnected("no address".to_owned());
    for address in to.addresses() {
        match timeout(to.connect_timeout, dial::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => failure = Failure::NotConnected(dial::in_envoys_words(&error)),
            Err(_) => failure = Failure::ConnectLate,
        }
    }
    Err(failure)
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

impl Failure {
    fn tls(error: &io::Error) -> Failure {
        let cause = error
            .get_ref()
            .and_then(|cause| cause.downcast_ref::<rustls::Error>());
        let words = match cause {
            Some(error) if is_own_authority(error) => {
                "TLS_error:CERTIFICATE_VERIFY_FAILED: it signed itself; to trust it, \
                 give its file as \"verify\""
                    .to_owned()
            }
            Some(rustls::Error::InvalidCertificate(_)) => {
                format!("TLS_error:CERTIFICATE_VERIFY_FAILED: {error}")
            }
            _ => format!("TLS_error: {error}"),
        };
        Failure::NotConnected(words)
    }

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
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::plan::{Cluster, Filter, Host, Plan, Verify};
    use crate::upstream::cluster::Clusters;
    use crate::upstream::resolver::{self, Resolver};

    fn clusters(port: u16, tls: Option<Verify>) -> Clusters {
        let cluster = Cluster {
            name: "ping/r1".to_owned(),
            part_of: None,
            replica: "r1".to_owned(),
            host: Host::Ip([127, 0, 0, 1].into()),
            port,
            tls,
            protocol: Protocol::Http1,
            connect_timeout: Duration::from_millis(300),
        };
        let plan = Plan {
            listeners: Vec::new(),
            clusters: vec![cluster],
            routes: Vec::new(),
            pools: Vec::new(),
            filters: Vec::new(),
            filter: Some(Filter {
                vm_id: String::new(),
                configuration: serde_json::Value::Null,
            }),
            admin: None,
            drain_timeout: Duration::ZERO,
            dns_refresh: Duration::from_secs(1),
        };
        Clusters::of(&plan, &mut Resolver::new(resolver::system())).unwrap()
    }

    /// What the guest sees: the status, the body, and whether a replica sent it.
    async fn ask(port: u16, tls: Option<Verify>, limit: Duration) -> (String, String, bool) {
        let clusters = clusters(port, tls);
        let pair = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let call = Call {
            headers: vec![
                pair(":method", "GET"),
                pair(":path", "/_ping?deep"),
                pair(":authority", "dtr.example.com"),
                pair("x-probe", "1"),
            ],
            body: Vec::new(),
            timeout: Some(limit),
        };
        let reply = call
            .make(clusters.endpoint("ping/r1", &clusters.turns()).unwrap())
            .await;
        let from_replica = reply.headers.iter().any(|(name, _)| name == SERVICE_TIME);
        let status = match reply.headers.first() {
            Some((name, value)) if name == ":status" => String::from_utf8(value.clone()).unwrap(),
            Some((name, _)) => panic!("the first header is {name}"),
            None => "none".to_owned(),
        };
        (status, String::from_utf8(reply.body).unwrap(), from_replica)
    }

    /// A server that reads a request, answers with these bytes and closes.
    async fn canned(answer: Vec<u8>) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let request = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let request = read_head(&mut socket).await;
            socket.write_all(&answer).await.unwrap();
            socket.shutdown().await.unwrap();
            request
        });
        (port, request)
    }

    async fn read_head(socket: &mut (impl AsyncReadExt + Unpin)) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn an_answer_reaches_the_guest_with_the_mark_of_a_real_one() {
        let answer = b"HTTP/1.1 503 Oh\r\nX-Reason: Garant\r\ncontent-length: 5\r\n\r\nsorry";
        let (port, request) = canned(answer.to_vec()).await;
        let seen = ask(port, None, LONG).await;
        assert_eq!(seen, ("503".to_owned(), "sorry".to_owned(), true));
        let request = request.await.unwrap();
        assert!(
            request.starts_with("GET /_ping?deep HTTP/1.1\r\n"),
            "{request}"
        );
        for line in [
            "host: dtr.example.com\r\n",
            "x-probe: 1\r\n",
            "connection: close\r\n",
        ] {
            assert!(request.contains(line), "{line} is missing in {request}");
        }
    }

    #[tokio::test]
    async fn without_an_answer_the_guest_gets_the_reply_envoy_would_make_up() {
        const LED_BY: &str =
            "upstream connect error or disconnect/reset before headers. reset reason: ";
        let closing = canned(Vec::new()).await.0;
        let mut huge = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        huge.resize(MOST_BODY + 100, b'x');
        let mut header_bomb = b"HTTP/1.1 200 OK\r\n".to_vec();
        header_bomb.extend(b"x: y\r\n".repeat(1000));
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (refusing, _bound) = crate::upstream::dial::tests::refusing();
        let refused = format!(
            "{LED_BY}remote connection failure, transport failure reason: \
             delayed connect error: Connection refused"
        );
        let cases = [
            (refusing.port(), LONG, "503", refused, "refused"),
            (
                closing,
                LONG,
                "503",
                format!("{LED_BY}connection termination"),
                "closed",
            ),
            (
                canned(b"* OK IMAP4 ready\r\n".to_vec()).await.0,
                LONG,
                "503",
                format!("{LED_BY}protocol error"),
                "another protocol",
            ),
            (
                canned(header_bomb).await.0,
                LONG,
                "503",
                format!("{LED_BY}protocol error"),
                "more headers than anybody reads",
            ),
            (
                silent.local_addr().unwrap().port(),
                Duration::from_millis(50),
                "504",
                "upstream request timeout".to_owned(),
                "hung",
            ),
            (
                canned(huge).await.0,
                LONG,
                "none",
                String::new(),
                "a body too long",
            ),
            (
                canned(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec())
                    .await
                    .0,
                LONG,
                "none",
                String::new(),
                "a body cut short",
            ),
        ];
        for (port, limit, status, body, why) in cases {
            let seen = ask(port, None, limit).await;
            assert_eq!(seen, (status.to_owned(), body, false), "{why}");
        }
    }

    #[tokio::test]
    async fn a_replica_that_swallows_connections_times_out() {
        let (hole, _kept) = crate::upstream::dial::tests::black_hole().await;
        let (status, body, real) = ask(hole.port(), None, LONG).await;
        assert_eq!((status.as_str(), real), ("503", false));
        assert!(body.ends_with("reset reason: connection timeout"), "{body}");
    }

    /// A server with a certificate of its own making for `name`.
    async fn secure(name: &str) -> (u16, String, tokio::task::JoinHandle<Option<String>>) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sni = tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            let mut socket = TlsAcceptor::from(Arc::new(config))
                .accept(socket)
                .await
                .ok()?;
            let sni = socket.get_ref().1.server_name().map(str::to_owned);
            read_head(&mut socket).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            socket.write_all(answer).await.unwrap();
            socket.shutdown().await.unwrap();
            sni
        });
        (port, made.cert.pem(), sni)
    }

    #[tokio::test]
    async fn certificates_are_checked_as_the_plan_says() {
        let folder = tempfile::tempdir().unwrap();
        let ok = ("200".to_owned(), "ok".to_owned(), true);
        let ca_file = |name: &str, pem: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, pem).unwrap();
            Some(Verify::CaFile(path))
        };

        let (port, _, sni) = secure("dtr.example.com").await;
        assert_eq!(
            ask(port, Some(Verify::None), LONG).await,
            ok,
            "none accepts any"
        );
        assert_eq!(
            sni.await.unwrap().as_deref(),
            Some("dtr.example.com"),
            "SNI is the authority"
        );

        let (port, pem, _) = secure("dtr.example.com").await;
        assert_eq!(
            ask(port, ca_file("right.pem", &pem), LONG).await,
            ok,
            "the right CA"
        );

        let other = secure("dtr.example.com").await.1;
        let wrong_name = secure("other.example.com").await;
        let cases = [
            (
                secure("dtr.example.com").await.0,
                Some(Verify::System),
                "an unknown CA",
            ),
            (
                secure("dtr.example.com").await.0,
                ca_file("other.pem", &other),
                "another CA",
            ),
            (
                wrong_name.0,
                ca_file("name.pem", &wrong_name.1),
                "another name",
            ),
        ];
        for (port, verify, why) in cases {
            let (status, body, real) = ask(port, verify, LONG).await;
            assert_eq!((status.as_str(), real), ("503", false), "{why}");
            assert!(
                body.contains("TLS_error:CERTIFICATE_VERIFY_FAILED: "),
                "{why}: {body}"
            );
        }

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        });
        let (status, body, _) = ask(port, Some(Verify::None), LONG).await;
        assert_eq!(status, "503", "TLS to a plain port");
        assert!(body.contains("TLS_error: "), "{body}");
    }
}

//! One request of our own, to a balancer or an Envoy.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::CertificateError::ApplicationVerificationFailure;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::transport::Transport;
use crate::upstream::without_authority;

/// Where a request goes. Its text is the beginning of a URL.
#[derive(Clone, Debug)]
pub struct HttpServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it speaks, and who it has to be.
    pub transport: Transport,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Nobody accepts connections there.
    #[error("{0}")]
    Connect(#[from] io::Error),
    /// What answers breaks off, or does not speak HTTP.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// There is no TLS with it.
    #[error("{0}")]
    Tls(io::Error),
    /// It is not the one that is to be asked.
    #[error(
        "it shows another certificate than that of the configuration, which may have been \
         renewed since: reload the balancer (systemctl reload dtr-lb, or SIGHUP)"
    )]
    OtherCertificate,
    /// TLS can't be spoken at all.
    #[error("{0}")]
    NoTls(#[from] rustls::Error),
    /// The request can't be written: its path or a header is none.
    #[error("{0}")]
    Request(#[from] http::Error),
    /// The body breaks off, or has more than 16 mebibytes.
    #[error("{0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// It takes longer than five seconds.
    #[error("no answer within {} s", LIMIT.as_secs())]
    TimedOut,
}

/// Asks over plain HTTP: status and body of the answer.
///
/// # Errors
/// There is no answer, or it is too long or too late.
pub async fn http_get(address: SocketAddr, path: &str) -> Result<(StatusCode, String), HttpError> {
    let server = HttpServer::in_clear(address);
    http_request(&server, Request::get(path).body(Bytes::new())?).await
}

/// Sends any request, whose `Host` is the address: status and body of the answer.
///
/// # Errors
/// As [`http_get`]; the server shows another certificate.
pub async fn http_request(
    server: &HttpServer,
    request: Request<Bytes>,
) -> Result<(StatusCode, String), HttpError> {
    let asked = timeout(LIMIT, ask(server, request)).await;
    asked.unwrap_or(Err(HttpError::TimedOut))
}

impl HttpServer {
    /// One that speaks plain HTTP.
    #[must_use]
    pub fn in_clear(address: SocketAddr) -> HttpServer {
        HttpServer {
            address,
            transport: Transport::Clear,
        }
    }
}

impl fmt::Display for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::Clear => "http",
            Transport::TlsWithAnybody | Transport::TlsWith(_) => "https",
        };
        write!(f, "{scheme}://{}", self.address)
    }
}

async fn ask(
    server: &HttpServer,
    mut request: Request<Bytes>,
) -> Result<(StatusCode, String), HttpError> {
    let host = HeaderValue::from_str(&server.address.to_string()).map_err(http::Error::from)?;
    request.headers_mut().insert(HOST, host);
    let socket = TcpStream::connect(server.address).await?;
    let expected = match &server.transport {
        Transport::Clear => return exchange(socket, request).await,
        Transport::TlsWithAnybody => None,
        Transport::TlsWith(certificate) => Some(certificate.clone()),
    };
    let tls = without_authority::connector(expected)?;
    let name = server.address.ip().into();
    let socket = tls.connect(name, socket).await.map_err(without_tls)?;
    exchange(socket, request).await
}

fn without_tls(error: io::Error) -> HttpError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(ApplicationVerificationFailure)) => {
            HttpError::OtherCertificate
        }
        _ => HttpError::Tls(error),
    }
}

async fn exchange(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Bytes>,
) -> Result<(StatusCode, String), HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let exchange = async {
        let response = sender.send_request(request.map(Full::new)).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_BODY).collect();
        let body = body.await.map_err(HttpError::Body)?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    // The answer is what matters; the connection ends when it likes.
    tokio::select! {
        answer = exchange => answer,
        Err(error) = connection => Err(error.into()),
    }
}

const LIMIT: Duration = Duration::from_secs(5);

/// In bytes: the status of a thousand replicas, or ten thousand connections.
const LONGEST_BODY: usize = 16 * 1024 * 1024;

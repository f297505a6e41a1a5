//! One request of our own, to a balancer or an Envoy.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpGetError {
    /// Nobody accepts connections there.
    #[error("{0}")]
    Connect(#[from] io::Error),
    /// What answers breaks off, or does not speak HTTP.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// The path is none.
    #[error("{0}")]
    Path(#[from] http::Error),
    /// The body breaks off, or has more than a mebibyte.
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
pub async fn http_get(
    address: SocketAddr,
    path: &str,
) -> Result<(StatusCode, String), HttpGetError> {
    let asked = timeout(LIMIT, ask(address, path)).await;
    asked.unwrap_or(Err(HttpGetError::TimedOut))
}

async fn ask(address: SocketAddr, path: &str) -> Result<(StatusCode, String), HttpGetError> {
    let socket = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let request = Request::get(path)
        .header(http::header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_BODY).collect();
        let body = body.await.map_err(HttpGetError::Body)?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    // The answer is what matters; the connection ends when it likes.
    tokio::select! {
        answer = exchange => answer,
        Err(error) = connection => Err(error.into()),
    }
}

const LIMIT: Duration = Duration::from_secs(5);

/// In bytes.
const LONGEST_BODY: usize = 1024 * 1024;

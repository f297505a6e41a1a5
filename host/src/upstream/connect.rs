//! Connects to an address, and to an endpoint for a call, over TLS where its
//! cluster says so.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::net::socket::keep_alive;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::tls;
use proxy_wasm_engine::envoy::reset_reason::CONNECTION_TIMEOUT;
use proxy_wasm_engine::envoy::{not_connected, reset_before_headers};

/// A connection to an endpoint, in the clear or over TLS.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// Why there is no connection.
pub(crate) enum ConnectError {
    /// Not connected within the cluster's connect timeout.
    TimedOut,
    /// Envoy's transport failure reason.
    Failed(String),
}

impl ConnectError {
    /// What Envoy says of it: the body of a made-up reply to an HTTP call, the
    /// message of a gRPC call's status.
    pub(crate) fn message(&self) -> String {
        match self {
            ConnectError::TimedOut => reset_before_headers(CONNECTION_TIMEOUT),
            ConnectError::Failed(reason) => not_connected(reason),
        }
    }
}

/// Connects to an endpoint for a call to this authority.
pub(crate) async fn connect(
    to: &Endpoint,
    authority: &str,
) -> Result<Box<dyn Connection>, ConnectError> {
    let socket = connect_tcp(to).await?;
    let Some(config) = &to.tls else {
        return Ok(Box::new(socket));
    };
    let failed = |error| ConnectError::Failed(tls::failure_reason(&error));
    let name = tls::server_name(authority).map_err(failed)?;
    let connecting = TlsConnector::from(config.clone()).connect(name, socket);
    Ok(Box::new(connecting.await.map_err(failed)?))
}

/// Connects to the first of an endpoint's addresses that accepts; of failures, the
/// last one counts.
async fn connect_tcp(to: &Endpoint) -> Result<TcpStream, ConnectError> {
    let mut failure = ConnectError::Failed("no address".to_owned());
    for address in to.addresses() {
        match timeout(to.connect_timeout, connect_address(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => failure = ConnectError::Failed(failure_reason(&error)),
            Err(_) => failure = ConnectError::TimedOut,
        }
    }
    Err(failure)
}

/// Connects to one address, with keepalive on.
pub(crate) async fn connect_address(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    keep_alive(&socket)?;
    socket.connect(address).await
}

/// Envoy's transport failure reason for a failed connect, such as
/// `delayed connect error: Connection refused`: for filters, which know it from
/// Envoy. The log shows the system's error.
pub(crate) fn failure_reason(error: &io::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or(&text);
    let when = match error.kind() {
        // Without a route or a local address the kernel refuses before it sends.
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => "immediate",
        _ => "delayed",
    };
    format!("{when} connect error: {reason}")
}

/// Drives a connection until an exchange on it is over; then it is gone, too.
pub(crate) async fn drive<T>(connection: impl Future, exchange: impl Future<Output = T>) -> T {
    let mut connection = pin!(connection);
    let mut exchange = pin!(exchange);
    tokio::select! {
        biased;
        outcome = &mut exchange => outcome,
        _ = &mut connection => exchange.await,
    }
}

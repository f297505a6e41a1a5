//! TLS on the admin listener.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::proxy::admin::write_timeout::WriteTimeout;

/// Shakes hands with a client.
///
/// # Errors
/// It does not within `limit`, or speaks something else; HTTP in the clear is answered so.
pub(super) async fn accept(
    mut socket: TcpStream,
    config: Arc<ServerConfig>,
    limit: Duration,
) -> io::Result<TlsStream<WriteTimeout<TcpStream>>> {
    let shaking = async {
        if is_plain_http(&socket).await? {
            socket.write_all(NOT_TLS).await?;
            socket.shutdown().await?;
            return Err(io::Error::other("it speaks HTTP, and TLS is served here"));
        }
        let socket = WriteTimeout::new(socket, limit);
        TlsAcceptor::from(config).accept(socket).await
    };
    timeout(limit, shaking)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Whether a client begins with a method, where TLS begins with a record's type, 22
/// (RFC 8446, section 5.1).
async fn is_plain_http(socket: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let read = socket.peek(&mut first).await?;
    Ok(read == 1 && first[0].is_ascii_uppercase())
}

const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    connection: close\r\ncontent-length: 82\r\n\r\n\
    TLS is served here: ask with https://, and by dtr-lb's own commands with --config\n";

//! Connects to the first endpoint of an order that lets itself be connected to.

use std::io;
use std::net::SocketAddr;

use proxy_wasm_engine::envoy::response_flag::{
    NO_HEALTHY_UPSTREAM, UPSTREAM_CONNECTION_FAILURE, UPSTREAM_RETRY_LIMIT_EXCEEDED,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::net::socket::keep_alive;
use crate::upstream::cluster::Endpoint;

/// A connected endpoint.
pub(crate) struct Dialed<'a> {
    pub(crate) socket: TcpStream,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) address: SocketAddr,
}

/// What connecting took so far.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// How many addresses were tried.
    pub(crate) count: u32,
    /// Envoy's response flags.
    pub(crate) flags: u64,
    /// Why the first that failed for a reason failed, in Envoy's words.
    pub(crate) failure: Option<String>,
}

/// Tries each endpoint once, each of its addresses in turn, until `deadline`.
pub(crate) async fn dial<'a>(
    order: impl Iterator<Item = &'a Endpoint>,
    deadline: Instant,
    attempts: &mut Attempts,
) -> Option<Dialed<'a>> {
    for endpoint in order {
        for address in endpoint.addresses() {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            attempts.count += 1;
            let limit = deadline.min(now + endpoint.connect_timeout);
            match timeout_at(limit, connect(address)).await {
                Ok(Ok(socket)) => {
                    return Some(Dialed {
                        socket,
                        endpoint,
                        address,
                    });
                }
                Ok(Err(error)) => {
                    debug!(cluster = &*endpoint.cluster, %address, %error, "connect failed");
                    attempts
                        .failure
                        .get_or_insert_with(|| in_envoys_words(&error));
                }
                Err(_) => debug!(cluster = &*endpoint.cluster, %address, "connect timed out"),
            }
            attempts.flags |= UPSTREAM_CONNECTION_FAILURE;
        }
    }
    attempts.flags |= match attempts.count {
        0 => NO_HEALTHY_UPSTREAM,
        _ => UPSTREAM_RETRY_LIMIT_EXCEEDED,
    };
    None
}

/// Connects to one address, with keepalive on.
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    keep_alive(&socket)?;
    socket.connect(address).await
}

/// `delayed connect error: Connection refused`, as the filter knows it from Envoy.
pub(crate) fn in_envoys_words(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let when = match error.kind() {
        // Without a route or a local address the kernel refuses before it sends.
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => "immediate",
        _ => "delayed",
    };
    format!("{when} connect error: {words}")
}

#[cfg(test)]
mod tests;

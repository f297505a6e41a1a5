//! Connects a session to the first endpoint that accepts.

use std::net::SocketAddr;

use proxy_wasm_engine::envoy::response_flag::{
    NO_HEALTHY_UPSTREAM, UPSTREAM_CONNECTION_FAILURE, UPSTREAM_RETRY_LIMIT_EXCEEDED,
};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::upstream::connect::{connect_address, failure_reason};
use crate::upstream::endpoint::Endpoint;

/// A connected endpoint.
pub(crate) struct Dialed<'a> {
    pub(crate) socket: TcpStream,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) address: SocketAddr,
}

/// The connect attempts of a session.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// How many addresses were tried.
    pub(crate) count: u32,
    /// Envoy's response flags.
    pub(crate) flags: u64,
    /// Envoy's transport failure reason of the first that failed other than by a
    /// timeout.
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
            match timeout_at(limit, connect_address(address)).await {
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
                        .get_or_insert_with(|| failure_reason(&error));
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

#[cfg(test)]
mod tests;

//! Connects a session to the first endpoint that accepts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_engine::envoy::response_flag::{
    NO_HEALTHY_UPSTREAM, UPSTREAM_CONNECTION_FAILURE, UPSTREAM_RETRY_LIMIT_EXCEEDED,
};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::debug;

use crate::net::proxy_header::{ConnectionAddresses, send_header};
use crate::upstream::connect::{Connect, connect_address, connect_patiently, failure_reason};
use crate::upstream::endpoint::Endpoint;

/// A connected endpoint.
pub(crate) struct Dialed<'a> {
    pub(crate) socket: TcpStream,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) address: SocketAddr,
    /// How long it may take to connect.
    pub(crate) connect_timeout: Duration,
    /// When the attempt that got through began.
    pub(crate) began: Instant,
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
    /// The endpoints that failed, by their own name for the replica.
    failed: Vec<Arc<str>>,
    /// This machine lacked what a connect takes until the deadline: what ended the
    /// dial is no failure of an endpoint.
    pub(crate) lacking: bool,
}

impl Attempts {
    /// An endpoint that accepted ended the connection before its first byte: it
    /// counts as one that can't be connected to.
    pub(crate) fn unserved(&mut self, replica: &Arc<str>) {
        self.flags |= UPSTREAM_CONNECTION_FAILURE;
        self.failure
            .get_or_insert_with(|| "ended before the first byte".to_owned());
        self.failed.push(Arc::clone(replica));
    }

    fn has_failed(&self, endpoint: &Endpoint) -> bool {
        let is_same = |failed| Arc::ptr_eq(failed, &endpoint.replica);
        self.failed.iter().any(is_same)
    }
}

/// Tries each endpoint that has not failed before, each of its addresses in turn,
/// until `deadline`. An endpoint that expects a PROXY header is sent one with the client's
/// addresses.
pub(crate) async fn dial<'a>(
    order: impl Iterator<Item = &'a Endpoint>,
    client: ConnectionAddresses,
    deadline: Instant,
    attempts: &mut Attempts,
) -> Option<Dialed<'a>> {
    for endpoint in order {
        if attempts.has_failed(endpoint) {
            continue;
        }
        for address in endpoint.addresses() {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            attempts.count += 1;
            let limit = endpoint.connect_timeout;
            let connect = async || {
                let socket = connect_address(address).await?;
                match endpoint.proxy_protocol {
                    None => Ok(socket),
                    // On the heap, as with all that not every connection does.
                    Some(version) => Box::pin(send_header(socket, version, Some(client))).await,
                }
            };
            match connect_patiently(address, limit, deadline, connect).await {
                Connect::Connected(socket) => {
                    return Some(Dialed {
                        socket,
                        endpoint,
                        address,
                        connect_timeout: limit,
                        began: now,
                    });
                }
                Connect::Lacking(error) => {
                    debug!(cluster = &*endpoint.cluster, %address, %error, "not connected");
                    attempts.count -= 1;
                    attempts.lacking = true;
                    return None;
                }
                Connect::Failed(error) => {
                    debug!(cluster = &*endpoint.cluster, %address, %error, "connect failed");
                    attempts
                        .failure
                        .get_or_insert_with(|| failure_reason(&error));
                }
                Connect::TimedOut => {
                    debug!(cluster = &*endpoint.cluster, %address, "connect timed out")
                }
            }
            attempts.flags |= UPSTREAM_CONNECTION_FAILURE;
        }
        attempts.failed.push(Arc::clone(&endpoint.replica));
    }
    attempts.flags |= match attempts.count {
        0 => NO_HEALTHY_UPSTREAM,
        _ => UPSTREAM_RETRY_LIMIT_EXCEEDED,
    };
    None
}

#[cfg(test)]
mod tests;

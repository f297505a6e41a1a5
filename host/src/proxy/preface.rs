//! What a client sends before a replica is chosen: who it is, from a trusted proxy, and
//! which of several services it wants.

use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::filters::connection_info::ConnectionInfo;
use crate::metrics::Reason;
use crate::net::forward::{Early, ForwardHooks};
use crate::net::proxy_header::SignatureWatch;
use crate::proxy::connection::Connection;
use crate::proxy::proxied_client::{self, NotSaid};
use crate::proxy::requested_service::NotRequested;
use proxy_wasm_engine::{Direction, End};

/// What a client has sent before a replica is chosen.
pub(super) struct Preface {
    /// What goes on to the replica.
    pub(super) early: Early,
    /// Looks for a header of the PROXY protocol that the client is not trusted to send.
    pub(super) watch: SignatureWatch,
}

impl Preface {
    /// Reads what the listener needs to know; most need nothing.
    pub(super) async fn read(
        connection: &Connection,
        client: &TcpStream,
    ) -> Result<Preface, Reason> {
        let mut early = Early {
            bytes: BytesMut::new(),
            end: End::More,
        };
        let mut watch = SignatureWatch::Off;
        let source = connection.client().ip();
        let listener = &connection.listener;
        let proxies = listener.trusted_proxies.as_ref();
        let is_proxy = proxies.is_some_and(|proxies| proxies.networks.contain(source));
        if is_proxy || listener.services.is_some() {
            // A worker that is replaced leaves probing to the next, and this one its choice.
            connection.chain_state.prepare(connection);
            connection.seen();
        }
        if is_proxy {
            // On the heap, as with all that not every connection does.
            early = Box::pin(ask_proxy(connection, client, early)).await?;
        } else if proxies.is_some() {
            watch = SignatureWatch::Start;
        }
        if listener.services.is_some() {
            early = Box::pin(ask_service(connection, client, early)).await?;
        }
        Ok(Preface { early, watch })
    }
}

/// Learns from a trusted proxy who the client is.
async fn ask_proxy(
    connection: &Connection,
    client: &TcpStream,
    mut early: Early,
) -> Result<Early, Reason> {
    let Some(proxies) = &connection.listener.trusted_proxies else {
        return Ok(early);
    };
    let asked = tokio::select! {
        biased;
        command = connection.control().next_order() => return Err(Reason::refused(command)),
        asked = proxied_client::ask(proxies, client, &mut early) => asked,
    };
    match asked {
        Ok(addresses) => {
            if let Some(addresses) = addresses {
                connection.is_of(addresses);
            }
            // As in Envoy the header itself does not count.
            connection.took(Direction::Downstream, early.bytes.len());
            Ok(early)
        }
        Err(NotSaid::TimedOut) => Err(Reason::HeaderTimeout),
        Err(NotSaid::NoHeader) => Err(Reason::NoHeader),
        Err(NotSaid::Closed) => Err(Reason::ClientClosed),
        Err(NotSaid::Reset) => Err(Reason::ClientReset),
    }
}

/// Learns which of several services the client wants, by what it sends.
async fn ask_service(
    connection: &Connection,
    client: &TcpStream,
    mut early: Early,
) -> Result<Early, Reason> {
    let Some(services) = &connection.listener.services else {
        return Ok(early);
    };
    let took = |read| connection.took(Direction::Downstream, read);
    let asked = tokio::select! {
        biased;
        command = connection.control().next_order() => return Err(Reason::refused(command)),
        asked = services.ask(client, &mut early, took) => asked,
    };
    match asked {
        Ok(service) => {
            connection.requested(service);
            Ok(early)
        }
        Err(NotRequested::TimedOut) => Err(Reason::HelloTimeout),
        Err(NotRequested::Closed) => Err(Reason::ClientClosed),
        Err(NotRequested::Reset) => Err(Reason::ClientReset),
    }
}

//! A replica's two ports.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::accept::accept;
use super::response::{Arrived, respond};
use super::state::ReplicaState;

/// The tasks behind a replica's ports; dropping it ends them.
pub(super) struct Serving(Vec<JoinHandle<()>>);

impl Serving {
    /// Closes the ports and cuts the connections; both are done when it returns.
    pub(super) async fn end(mut self) {
        for task in self.0.drain(..) {
            task.abort();
            // Only that it is over matters.
            let _ = task.await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Binds both addresses and serves them.
pub(super) async fn start(
    state: &Arc<ReplicaState>,
    http: SocketAddr,
    https: SocketAddr,
    acceptor: &TlsAcceptor,
) -> io::Result<(SocketAddr, SocketAddr, Serving)> {
    let http = TcpListener::bind(http).await?;
    let https = TcpListener::bind(https).await?;
    let addresses = (http.local_addr()?, https.local_addr()?);
    let (plain, encrypted) = (Arc::clone(state), Arc::clone(state));
    let acceptor = acceptor.clone();
    let plain = move |stream| connection(stream, Arc::clone(&plain), None);
    let encrypted =
        move |stream| connection(stream, Arc::clone(&encrypted), Some(acceptor.clone()));
    let tasks = vec![
        tokio::spawn(accept(http, plain)),
        tokio::spawn(accept(https, encrypted)),
    ];
    Ok((addresses.0, addresses.1, Serving(tasks)))
}

async fn connection(stream: TcpStream, state: Arc<ReplicaState>, acceptor: Option<TlsAcceptor>) {
    let Some(acceptor) = acceptor else {
        let arrived = Arrived {
            scheme: "http",
            sni: None,
        };
        return serve(stream, state, arrived).await;
    };
    match acceptor.accept(stream).await {
        Ok(stream) => {
            let arrived = Arrived {
                scheme: "https",
                sni: stream.get_ref().1.server_name().map(str::to_owned),
            };
            serve(stream, state, arrived).await;
        }
        Err(error) => {
            tracing::debug!(replica = state.name, %error, "the TLS handshake with a client failed")
        }
    }
}

async fn serve<S>(stream: S, state: Arc<ReplicaState>, arrived: Arrived)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| respond(request, &state, &arrived));
    let served = http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(replica = state.name, %error, "the connection ended early");
    }
}

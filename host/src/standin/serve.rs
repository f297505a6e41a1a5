//! A replica's two ports.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::State;
use super::answer::{Arrived, answer};

/// The tasks behind a replica's ports; dropping it ends them.
pub(super) struct Serving(Vec<JoinHandle<()>>);

impl Serving {
    /// Closes the ports and cuts the connections; when it returns, both is done.
    pub(super) async fn end(mut self) {
        for task in self.0.drain(..) {
            task.abort();
            // The only outcome of interest is that it is over.
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
    state: &Arc<State>,
    http: SocketAddr,
    https: SocketAddr,
    acceptor: &TlsAcceptor,
) -> io::Result<(SocketAddr, SocketAddr, Serving)> {
    let http = TcpListener::bind(http).await?;
    let https = TcpListener::bind(https).await?;
    let addresses = (http.local_addr()?, https.local_addr()?);
    let tasks = vec![
        tokio::spawn(accept(http, Arc::clone(state), None)),
        tokio::spawn(accept(https, Arc::clone(state), Some(acceptor.clone()))),
    ];
    Ok((addresses.0, addresses.1, Serving(tasks)))
}

async fn accept(listener: TcpListener, state: Arc<State>, acceptor: Option<TlsAcceptor>) {
    // Owned by this task: when it ends, they end.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&state), acceptor.clone()));
                }
                Err(error) => {
                    tracing::debug!(replica = state.name, %error, "the stand-in can't accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>, acceptor: Option<TlsAcceptor>) {
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
        Err(error) => tracing::debug!(replica = state.name, %error, "no TLS with the client"),
    }
}

async fn serve<S>(stream: S, state: Arc<State>, arrived: Arrived)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| answer(request, &state, &arrived));
    let served = http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(replica = state.name, %error, "the connection ended early");
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

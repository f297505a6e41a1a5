//! Where replicas are told how to be: `curl -d failing http://127.0.0.1:8182/r2`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::{Mood, Replica};

/// A port that takes orders for stand-ins; dropping it closes the port.
pub struct Control {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Control {
    /// Serves orders for these replicas; port 0 means any free port.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn start(bind: SocketAddr, replicas: Arc<[Replica]>) -> io::Result<Self> {
        let listener = TcpListener::bind(bind).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, replicas));
        Ok(Self { address, task })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, replicas: Arc<[Replica]>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let replicas = Arc::clone(&replicas);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(request, &replicas));
                    // Who gave an order and left does not wait for its answer.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    replicas: &[Replica],
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match order(request, replicas).await {
        Ok(done) => (StatusCode::OK, done),
        Err((status, why)) => (status, why),
    };
    let mut answer = Response::new(Full::from(format!("{text}\n")));
    *answer.status_mut() = status;
    Ok(answer)
}

async fn order(
    request: Request<Incoming>,
    replicas: &[Replica],
) -> Result<String, (StatusCode, String)> {
    let name = request.uri().path().trim_start_matches('/').to_owned();
    let known = || {
        let names: Vec<&str> = replicas.iter().map(Replica::name).collect();
        names.join(", ")
    };
    let replica = replicas
        .iter()
        .find(|replica| replica.name() == name)
        .ok_or_else(|| {
            let why = format!("no replica {name:?}; known: {}", known());
            (StatusCode::NOT_FOUND, why)
        })?;
    if !matches!(*request.method(), Method::POST | Method::PUT) {
        let why = format!("send an order: curl -d failing http://.../{name}");
        return Err((StatusCode::METHOD_NOT_ALLOWED, why));
    }
    let body = Limited::new(request.into_body(), LONGEST_ORDER)
        .collect()
        .await
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?
        .to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    let mood: Mood = text
        .parse()
        .map_err(|unknown: super::UnknownMood| (StatusCode::BAD_REQUEST, unknown.to_string()))?;
    replica.be(mood).await.map_err(|error| {
        let why = format!("{name} can't open its ports again: {error}");
        (StatusCode::CONFLICT, why)
    })?;
    Ok(format!("{name} is {}", text.trim()))
}

const LONGEST_ORDER: usize = 64 * 1024;

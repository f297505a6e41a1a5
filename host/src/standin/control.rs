//! Where replicas' conditions are changed: `curl -d failing http://127.0.0.1:8182/r2`.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::accept::accept;
use super::condition::{Condition, UnknownCondition};
use super::replica::Replica;

/// A port where the conditions of stand-ins are changed; dropping it closes it.
pub struct Control {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Control {
    /// Serves changes of these replicas; port 0 means any free port.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn start(bind: SocketAddr, replicas: Arc<[Replica]>) -> io::Result<Self> {
        let listener = TcpListener::bind(bind).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, move |stream| {
            serve(stream, Arc::clone(&replicas))
        }));
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

async fn serve(stream: TcpStream, replicas: Arc<[Replica]>) {
    let service = service_fn(|request| respond(request, &replicas));
    // A client that sent its command and left does not wait for the response.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    request: Request<Incoming>,
    replicas: &[Replica],
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match change(request, replicas).await {
        Ok(done) => (StatusCode::OK, done),
        Err((status, why)) => (status, why),
    };
    let mut response = Response::new(Full::from(format!("{text}\n")));
    *response.status_mut() = status;
    Ok(response)
}

async fn change(
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
        let why = format!("send a condition: curl -d failing http://.../{name}");
        return Err((StatusCode::METHOD_NOT_ALLOWED, why));
    }
    let body = Limited::new(request.into_body(), LONGEST_BODY)
        .collect()
        .await
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?
        .to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    let condition: Condition = text
        .parse()
        .map_err(|unknown: UnknownCondition| (StatusCode::BAD_REQUEST, unknown.to_string()))?;
    replica.set_condition(condition).await.map_err(|error| {
        let why = format!("{name} can't open its ports again: {error}");
        (StatusCode::CONFLICT, why)
    })?;
    Ok(format!("{name} is {}", text.trim()))
}

const LONGEST_BODY: usize = 64 * 1024;

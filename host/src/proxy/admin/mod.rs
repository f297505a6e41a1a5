//! The admin listener: `/ready`, `/metrics` and, during a drain, `/_ping` are the
//! host's own, everything else is answered by the filter.

mod reply;
mod request;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use http::header::ALLOW;
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::timeout;
use tracing::debug;

use crate::control::lifecycle::{Phase, reached};
use crate::metrics;
use crate::proxy::accept::{Clients, accept_until};
use crate::proxy::admin::reply::{JSON, Reply, error, reply};
use crate::proxy::context::WorkerContext;

/// Serves the admin listener for as long as the worker lives, or until another
/// worker does. Whoever asks before the workers run waits: during a reload it is
/// the last ones that are ready.
pub(crate) async fn serve(worker: Rc<WorkerContext>, listener: TcpListener) {
    let phases = worker.shared.phases.clone();
    reached(&phases, Phase::Running).await;
    if *phases.borrow() < Phase::Running {
        return;
    }
    let mut requests = Requests {
        local: listener.local_addr().ok(),
        worker,
    };
    accept_until(retiring(&phases), &listener, "admin", &mut requests).await;
}

/// Waits until another worker takes the place of this one.
async fn retiring(phases: &watch::Receiver<Phase>) {
    reached(phases, Phase::Retiring).await;
    if *phases.borrow() != Phase::Retiring {
        // During a drain nobody else answers.
        std::future::pending().await
    }
}

struct Requests {
    worker: Rc<WorkerContext>,
    local: Option<SocketAddr>,
}

impl Clients<TcpStream> for Requests {
    type Place = ();

    async fn admit(&mut self) {}

    fn admit_last(&mut self) -> Option<()> {
        None
    }

    fn serve(&mut self, socket: TcpStream, client: SocketAddr, (): ()) {
        let (worker, local) = (Rc::clone(&self.worker), self.local.unwrap_or(client));
        spawn_local(async move {
            let service = service_fn(|request| {
                let worker = Rc::clone(&worker);
                async move { Ok::<_, Infallible>(answer(&worker, client, local, request).await) }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(worker.shared.options.admin_timeout)
                .serve_connection(TokioIo::new(socket), service);
            if let Err(error) = serving.await {
                debug!(%error, %client, "an admin connection failed");
            }
        });
    }
}

async fn answer(
    worker: &WorkerContext,
    client: SocketAddr,
    local: SocketAddr,
    request: Request<Incoming>,
) -> Reply {
    let phase = *worker.shared.phases.borrow();
    let own = match request.uri().path() {
        "/ready" | "/metrics" => true,
        // The filter knows of no drain.
        "/_ping" => phase.is_drain(),
        _ => false,
    };
    if own && !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = error(StatusCode::METHOD_NOT_ALLOWED, "read only: use GET");
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/ready" => ready(worker, phase),
        "/_ping" if own => {
            let ping = "{\"Error\":\"draining\",\"Healthy\":false}".to_owned();
            reply(StatusCode::SERVICE_UNAVAILABLE, JSON, ping)
        }
        "/metrics" => {
            let text = {
                let shared = &worker.shared;
                metrics::render(&shared.counters, &shared.admission, &shared.vm_data)
            };
            reply(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                text,
            )
        }
        _ => {
            let asking = request::ask(worker, client, local, request);
            timeout(worker.shared.options.admin_timeout, asking)
                .await
                .unwrap_or_else(|_| {
                    error(
                        StatusCode::GATEWAY_TIMEOUT,
                        "the filter gave no answer in time",
                    )
                })
        }
    }
}

fn ready(worker: &WorkerContext, phase: Phase) -> Reply {
    let shared = &worker.shared;
    // The last ones are the current ones; others are retired.
    let current = shared
        .counters
        .iter()
        .rev()
        .take(shared.options.workers.get());
    let running: u64 = current
        .map(|counters| counters.vm_running.load(Relaxed))
        .sum();
    match phase {
        Phase::Starting => error(StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Running | Phase::Retiring if running > 0 || shared.vms.is_empty() => {
            reply(StatusCode::OK, JSON, "{\"ready\":true}\n".to_owned())
        }
        Phase::Running | Phase::Retiring => {
            error(StatusCode::SERVICE_UNAVAILABLE, "no filter runs")
        }
        Phase::Announcing | Phase::Draining | Phase::Cutting | Phase::Over => {
            error(StatusCode::SERVICE_UNAVAILABLE, "draining")
        }
    }
}

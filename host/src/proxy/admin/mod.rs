//! The admin listener: `/ready`, `/metrics` and, during a drain, `/_ping` are the
//! host's own, everything else is answered by the filter.

mod connections;
pub(crate) mod desk;
mod reply;
mod request;
mod write_timeout;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use http::header::ALLOW;
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_local;
use tokio::time::timeout;
use tracing::{debug, error};

use crate::caught_panic::CaughtPanic;
use crate::control::lifecycle::Phase;
#[cfg(test)]
use crate::fault::Fault;
use crate::metrics::{self, HostMetrics};
use crate::proxy::accept::{Clients, keep_accepting};
use crate::proxy::admin::connections::{AdminConnections, AdminPlace};
use crate::proxy::admin::desk::{AdminRequest, Waiting};
use crate::proxy::admin::reply::{JSON, Reply, error, filter_is_down, reply};
use crate::proxy::admin::write_timeout::WriteTimeout;
use crate::proxy::cluster_watch;
use crate::proxy::context::WorkerContext;
use crate::proxy::shared_state::SharedState;

/// The generation that runs; `None`: none yet.
pub(crate) type Current = watch::Receiver<Option<Arc<SharedState>>>;

/// The admin listener, wherever it is.
pub(crate) struct Admin {
    current: Current,
    connections: Rc<AdminConnections>,
}

impl Admin {
    pub(crate) fn new(current: Current) -> Admin {
        Admin {
            connections: Rc::default(),
            current,
        }
    }

    /// Serves one of its sockets until `end`. Connections go on after that; each
    /// request is answered by the generation that runs then.
    pub(crate) fn serve(
        &self,
        listener: TcpListener,
        end: oneshot::Receiver<()>,
    ) -> impl Future<Output = ()> + 'static {
        let mut requests = Requests {
            local: listener.local_addr().ok(),
            connections: Rc::clone(&self.connections),
            current: self.current.clone(),
        };
        async move {
            // An error: the host is gone.
            let end = async { drop(end.await) };
            keep_accepting(end, &listener, "admin", &mut requests).await;
        }
    }
}

/// Has a worker answer what comes to its desk, for as long as it is the current one.
pub(crate) async fn answer_all(
    worker: Rc<WorkerContext>,
    mut requests: UnboundedReceiver<Waiting>,
) {
    while let Some(waiting) = requests.recv().await {
        let worker = Rc::clone(&worker);
        spawn_local(async move {
            let Waiting { request, mut reply } = waiting;
            if *worker.shared.phases.borrow() == Phase::Retiring {
                // Its VM may be, too. Who asks may have gone.
                let _ = reply.send(Err(request));
                return;
            }
            let answer = {
                let asking = std::pin::pin!(request::ask(&worker, request));
                tokio::select! {
                    answer = CaughtPanic::catch_async(asking) => answer,
                    () = reply.closed() => return,
                }
            };
            let answer = answer.unwrap_or_else(|panic| {
                error!(%panic, "a request on the admin listener has no answer: its task panicked");
                error(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the request's task panicked; see the log",
                )
            });
            let _ = reply.send(Ok(answer));
        });
    }
}

struct Requests {
    current: Current,
    local: Option<SocketAddr>,
    connections: Rc<AdminConnections>,
}

impl Clients<TcpStream> for Requests {
    type Place = Option<AdminPlace>;

    async fn admit(&mut self) -> Option<AdminPlace> {
        // Nobody is accepted before there are workers.
        let most = |shared: &Arc<SharedState>| shared.admin_connections;
        let most = self.current.borrow().as_ref().map_or(1, most);
        self.connections.admit(most).await
    }

    fn admit_last(&mut self) -> Option<Option<AdminPlace>> {
        // The listener is elsewhere by now.
        None
    }

    fn serve(&mut self, socket: TcpStream, client: SocketAddr, place: Option<AdminPlace>) {
        // Nobody is accepted before there are workers.
        let Some(shared) = self.current.borrow().clone() else {
            return;
        };
        #[cfg(test)]
        shared.options.fault.strike(Fault::AdminAccept);
        let Some(place) = place else {
            refuse(&socket, client);
            return;
        };
        let (current, local) = (self.current.clone(), self.local.unwrap_or(client));
        let limit = shared.options.admin_timeout;
        let id = place.id();
        let serving = spawn_local(async move {
            let (current, place) = (&current, &place);
            let service = service_fn(async |request| {
                Ok::<_, Infallible>(answer(current, place, client, local, request).await)
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limit)
                .serve_connection(TokioIo::new(WriteTimeout::new(socket, limit)), service);
            let serving = std::pin::pin!(serving);
            match CaughtPanic::catch_async(serving).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, %client, "an admin connection failed"),
                Err(panic) => error!(%client, %panic, "an admin connection's task panicked"),
            }
        });
        self.connections.set_task(id, serving.abort_handle());
    }
}

/// Every other connection is being answered.
fn refuse(socket: &TcpStream, client: SocketAddr) {
    debug!(%client, "an admin connection is refused: as many are being answered as may be");
    let body = "{\"error\":\"as many requests are being answered as may be; try again\"}\n";
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {JSON}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // Few bytes, which a new socket has room for.
    let _ = socket.try_write((head + body).as_bytes());
}

async fn answer(
    current: &Current,
    place: &AdminPlace,
    client: SocketAddr,
    local: SocketAddr,
    request: Request<Incoming>,
) -> Reply {
    let Some(shared) = current.borrow().clone() else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "starting");
    };
    let phase = *shared.phases.borrow();
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
    if own {
        // Who asks is not idle.
        drop(place.answering());
    }
    match request.uri().path() {
        "/ready" => ready(&shared, phase),
        "/_ping" if own => {
            let ping = "{\"Error\":\"draining\",\"Healthy\":false}".to_owned();
            reply(StatusCode::SERVICE_UNAVAILABLE, JSON, ping)
        }
        "/metrics" => {
            let counters = [shared.all_counters.total()];
            let filter = metrics::of_plan(
                shared.vm_data.metrics(),
                &shared.replicas,
                shared.services.as_deref(),
            );
            let dropped = &shared.options.log_lines_dropped;
            let host = HostMetrics {
                workers: &counters,
                admission: &shared.admission,
                log_lines_dropped: dropped.load(Relaxed),
                certificates: shared.clusters.certificate_expiries().collect(),
                cluster_findings: (shared.with_cluster_status.iter())
                    .filter_map(|service| {
                        let found = cluster_watch::found(&shared.vm_data, service.as_deref())?;
                        Some((service.clone(), found))
                    })
                    .collect(),
            };
            let text = metrics::render(&host, filter);
            reply(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                text,
            )
        }
        _ => {
            let limit = shared.options.admin_timeout;
            // What is held of a generation keeps it from ending.
            drop(shared);
            // Who sends its body slowly gives way to others.
            let request = match request::read(request, limit).await {
                Ok(request) => request,
                Err(reply) => return reply,
            };
            let request = Box::new(AdminRequest {
                client,
                local,
                request,
            });
            let _answering = place.answering();
            let asking = ask_current(current, request);
            timeout(limit, asking).await.unwrap_or_else(|_| {
                error(
                    StatusCode::GATEWAY_TIMEOUT,
                    "the filter gave no answer in time",
                )
            })
        }
    }
}

/// Has the current generation answer; one that is retired meanwhile hands the request
/// back, unanswered.
async fn ask_current(current: &Current, mut request: Box<AdminRequest>) -> Reply {
    let mut current = current.clone();
    loop {
        let Some(shared) = current.borrow_and_update().clone() else {
            return filter_is_down();
        };
        match shared.admin_desk.ask(request).await {
            Ok(reply) => return reply,
            Err(_) if *shared.phases.borrow() != Phase::Retiring => return filter_is_down(),
            Err(unanswered) => request = unanswered,
        }
        // It is replaced before it is retired.
        if !current.has_changed().unwrap_or(false) {
            return filter_is_down();
        }
    }
}

fn ready(shared: &SharedState, phase: Phase) -> Reply {
    let running: u64 = shared
        .counters
        .iter()
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

//! The admin listener: what the host itself serves there, and what the filter does.

mod access;
mod answer;
mod connections;
mod counted;
pub(crate) mod desk;
mod pending_orders;
mod refused;
mod reload;
mod reply;
mod request;
mod sessions;
mod tls;
mod write_timeout;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tracing::{debug, error};

use crate::caught_panic::CaughtPanic;
use crate::control::lifecycle::Phase;
#[cfg(test)]
use crate::fault::Fault;
use crate::proxy::accept::{Clients, keep_accepting};
use crate::proxy::admin::answer::Asked;
use crate::proxy::admin::connections::{AdminConnections, AdminPlace};
use crate::proxy::admin::desk::Waiting;
use crate::proxy::admin::pending_orders::PendingOrders;
use crate::proxy::admin::refused::RefusedChanges;
use crate::proxy::admin::reply::{JSON, error};
use crate::proxy::admin::write_timeout::WriteTimeout;
use crate::proxy::context::WorkerContext;
use crate::proxy::shared_state::{Current, SharedState};

/// The admin listener, wherever it is.
pub(crate) struct Admin {
    current: Current,
    connections: Rc<AdminConnections>,
    orders: Rc<PendingOrders>,
    refused: Rc<RefusedChanges>,
}

impl Admin {
    pub(crate) fn new(current: Current) -> Admin {
        Admin {
            connections: Rc::default(),
            orders: Rc::default(),
            refused: Rc::new(RefusedChanges::new()),
            current,
        }
    }

    /// Ends the connections on which nothing is being answered.
    pub(crate) fn end_idle(&self) {
        self.connections.end_idle();
    }

    /// Takes no orders from now on; what is returned waits for those that have begun.
    pub(crate) fn stop_orders(&self) -> impl Future<Output = ()> + 'static {
        self.orders.stop()
    }

    /// Takes orders again.
    pub(crate) fn resume_orders(&self) {
        self.orders.resume();
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
            orders: Rc::clone(&self.orders),
            refused: Rc::clone(&self.refused),
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
    orders: Rc<PendingOrders>,
    refused: Rc<RefusedChanges>,
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
        let tls = shared.admin.as_ref().and_then(|admin| admin.tls.clone());
        let Some(place) = place else {
            debug!(%client, "an admin connection is refused: as many are being answered as may be");
            if tls.is_none() {
                refuse(&socket);
            }
            return;
        };
        let (current, local) = (self.current.clone(), self.local.unwrap_or(client));
        let (orders, refused) = (Rc::clone(&self.orders), Rc::clone(&self.refused));
        let limit = shared.options.admin_timeout;
        // What is held of a generation keeps it from ending.
        drop(shared);
        let id = place.id();
        let serving = spawn_local(async move {
            let asked = Asked {
                current,
                place,
                client,
                local,
                orders,
                refused,
            };
            let serving = async {
                match tls {
                    None => serve_http(WriteTimeout::new(socket, limit), &asked, limit).await,
                    Some(tls) => {
                        serve_http(tls::accept(socket, tls, limit).await?, &asked, limit).await
                    }
                }
            };
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

/// Answers one request after the other.
async fn serve_http(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    asked: &Asked,
    limit: Duration,
) -> io::Result<()> {
    let service = service_fn(async |request| Ok::<_, Infallible>(asked.answer(request).await));
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .serve_connection(TokioIo::new(socket), service);
    serving.await.map_err(io::Error::other)
}

/// Every other connection is being answered.
fn refuse(socket: &TcpStream) {
    let body = "{\"error\":\"as many requests are being answered as may be; try again\"}\n";
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {JSON}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // Few bytes, which a new socket has room for.
    let _ = socket.try_write((head + body).as_bytes());
}

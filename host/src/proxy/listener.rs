//! Serves one listener for traffic on one worker.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::control::lifecycle::{Phase, reached};
use crate::proxy::accept::{Clients, accept_ready, accept_until};
use crate::proxy::context::{ListenerContext, WorkerContext};
use crate::proxy::session;

/// Accepts until another worker does so instead or the drain begins; then takes what
/// the kernel has accepted already, so that nobody who got through is turned away.
pub(crate) async fn serve(
    worker: Rc<WorkerContext>,
    listener: Rc<ListenerContext>,
    socket: TcpListener,
) {
    let phases = worker.shared.phases.clone();
    let address = listener.address;
    let mut sessions = Sessions { worker, listener };
    let end = reached(&phases, Phase::Retiring);
    accept_until(end, &socket, address, &mut sessions).await;
    // When the worker is retired, its successor has a copy of the socket: what waits
    // there is accepted by it.
    if *phases.borrow() != Phase::Retiring {
        accept_ready(&socket, &mut sessions).await;
    }
}

struct Sessions {
    worker: Rc<WorkerContext>,
    listener: Rc<ListenerContext>,
}

impl Clients<TcpStream> for Sessions {
    async fn room(&mut self) {
        self.worker.sessions.room().await;
    }

    fn serve(&mut self, client: TcpStream, source: SocketAddr) {
        let (worker, listener) = (Rc::clone(&self.worker), Rc::clone(&self.listener));
        spawn_local(session::serve(worker, listener, client, source));
    }

    fn failed(&mut self) {
        self.worker.counters.accept_errors.fetch_add(1, Relaxed);
    }
}

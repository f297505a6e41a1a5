//! Serves one listener for traffic on one worker.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::control::admission::{Gate, Places};
use crate::control::lifecycle::{Phase, reached};
#[cfg(test)]
use crate::fault::Fault;
use crate::proxy::accept::{Clients, accept_ready, keep_accepting};
use crate::proxy::bound_listener::Succession;
use crate::proxy::context::{ListenerContext, WorkerContext};
use crate::proxy::session;

/// Accepts until another worker does so instead or the drain begins; then takes what
/// the kernel has accepted already, so that nobody who got through is turned away.
pub(crate) async fn serve(
    worker: Rc<WorkerContext>,
    listener: Rc<ListenerContext>,
    succession: Arc<Succession>,
    socket: TcpListener,
) {
    let phases = worker.shared.phases.clone();
    let address = listener.address;
    let mut sessions = Sessions {
        own_gate: listener.admission.clone().map(Gate::new),
        worker,
        listener,
    };
    let end = reached(&phases, Phase::Retiring);
    keep_accepting(end, &socket, address, &mut sessions).await;
    if *phases.borrow() == Phase::Retiring {
        if !succession.is_over() {
            // The worker's successor has the same socket: it accepts what waits there.
            return;
        }
        // The address may be part of another listener's now, which new clients find;
        // those that were about to get through here still do.
        let end = async {
            tokio::select! {
                () = reached(&phases, Phase::Draining) => {}
                () = sleep(HANDSHAKE) => {}
            }
        };
        keep_accepting(end, &socket, address, &mut sessions).await;
    }
    accept_ready(&socket, &mut sessions).await;
}

struct Sessions {
    worker: Rc<WorkerContext>,
    listener: Rc<ListenerContext>,
    /// Where the listener has a limit of its own.
    own_gate: Option<Gate>,
}

impl Clients<TcpStream> for Sessions {
    type Place = Places;

    /// The listener's own limit comes first: who waits for it takes nothing from
    /// other listeners.
    async fn admit(&mut self) -> Places {
        let own = match &self.own_gate {
            Some(gate) => Some(gate.enter().await),
            None => None,
        };
        Places::new(own, self.worker.gate.enter().await)
    }

    fn admit_last(&mut self) -> Option<Places> {
        let whole = self.worker.gate.enter_now()?;
        let own = self.own_gate.as_ref().and_then(Gate::enter_now);
        Some(Places::new(own, whole))
    }

    fn serve(&mut self, client: TcpStream, source: SocketAddr, places: Places) {
        #[cfg(test)]
        self.worker.shared.options.fault.strike(Fault::Accept);
        let (worker, listener) = (Rc::clone(&self.worker), Rc::clone(&self.listener));
        // In a box of its own, as the runtime moves a task's future several times.
        spawn_local(Box::pin(session::serve(
            worker, listener, client, source, places,
        )));
    }

    fn failed(&mut self) {
        self.worker.counters.accept_errors.fetch_add(1, Relaxed);
    }
}

/// How long a handshake takes that loses a segment: the kernel sends it again after 1 s.
const HANDSHAKE: Duration = Duration::from_secs(1);

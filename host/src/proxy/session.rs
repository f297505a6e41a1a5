//! One connection, from the accept to the access log.

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;

use tokio::net::TcpStream;
use tracing::{debug, error, info};

use crate::caught_panic::CaughtPanic;
use crate::control::admission::Places;
#[cfg(test)]
use crate::fault::Fault;
use crate::filters::chain_state::Step;
use crate::filters::connection_info::ConnectionInfo;
use crate::metrics::{OpenCount, Reason};
use crate::net::forward::{Early, Forward, Outcome};
use crate::net::proxy_header::SignatureWatch;
use crate::proxy::connection::Connection;
use crate::proxy::context::{ListenerContext, WorkerContext};
use crate::proxy::landing::Landing;
use crate::proxy::pause;
use crate::proxy::preface::Preface;
use crate::upstream::cluster::Target;
use dtr_lb_filter::contract::{REFUSAL_PROPERTY, metric_name};
use proxy_wasm_engine::Peer;
use proxy_wasm_engine::envoy::STEERING_KEY;
use proxy_wasm_engine::envoy::response_flag::UPSTREAM_REMOTE_RESET;

/// Serves one connection. It counts as open from now on, not from the first poll:
/// a limit or a drain must not overlook it.
pub(crate) fn serve(
    worker: Rc<WorkerContext>,
    listener: Rc<ListenerContext>,
    client: TcpStream,
    source: SocketAddr,
    places: Places,
) -> impl Future<Output = ()> {
    let mut session = Session {
        count: worker.counters.open(),
        connection: Connection::new(worker, listener, source, &client),
        landing: Landing::default(),
        _places: places,
    };
    async move {
        let outcome = {
            let running = pin!(session.run(&client));
            CaughtPanic::catch_async(running).await
        };
        // Before its place is given up.
        drop(client);
        let reason = outcome.unwrap_or_else(|panic| {
            let client = session.connection.client();
            error!(%client, %panic, "a connection is closed: its task panicked");
            Reason::InternalError
        });
        session.close(reason);
    }
}

struct Session {
    connection: Connection,
    count: OpenCount,
    landing: Landing,
    /// Given up last, when both sockets are closed.
    _places: Places,
}

impl Session {
    async fn run(&mut self, client: &TcpStream) -> Reason {
        let Preface {
            mut early,
            mut watch,
        } = match Preface::read(&self.connection, client).await {
            Ok(preface) => preface,
            Err(reason) => return reason,
        };
        let mut step = self.open(&mut early);
        // On the heap: few connections wait.
        if self.is_held(step) {
            (step, early) = match Box::pin(pause::wait(&self.connection, client, step, early)).await
            {
                Ok(let_go) => let_go,
                Err(reason) => return reason,
            };
        }
        watch.look(&early.bytes);
        if watch == SignatureWatch::Found {
            return Reason::UntrustedHeader;
        }
        let target = match self.target(step) {
            Ok(target) => target,
            Err(reason) => return reason,
        };
        let Session {
            connection,
            landing,
            ..
        } = self;
        // On the heap, and so gone while bytes are forwarded: it is the larger part.
        let mut replica = match Box::pin(landing.dial(connection, target)).await {
            Ok(replica) => replica,
            Err(reason) => return reason,
        };
        #[cfg(test)]
        connection
            .worker
            .shared
            .options
            .fault
            .strike(Fault::Session);
        let shown = connection.data_callbacks();
        let mut forward = self::forward(connection, client, &replica)
            .show(shown, shown)
            .watch(watch)
            .beginning_with(early);
        if connection.listener.resend_first_flight && target.has_several() {
            forward = forward.keep_first_flight();
        }
        loop {
            let asked = match (&mut forward).await {
                Outcome::Unserved(asked) => asked,
                outcome => return outcome.into(),
            };
            connection.chain_state.left_unserved(connection);
            // On the heap as well.
            match Box::pin(landing.dial_next(connection, target, asked)).await {
                Some(next) => {
                    let resumable = forward.give_up_replica();
                    replica = next;
                    forward = self::forward(connection, client, &replica).resuming(resumable);
                }
                None => forward.pass_on(),
            }
        }
    }

    fn worker(&self) -> &WorkerContext {
        &self.connection.worker
    }

    /// Shows the filters the connection, and what its client has sent before.
    fn open(&self, early: &mut Early) -> Step {
        let connection = &self.connection;
        let step = connection
            .chain_state
            .down(connection, 0, &mut early.bytes, early.end);
        connection.seen();
        step
    }

    fn is_held(&self, step: Step) -> bool {
        matches!(step, Step::Held(_)) && self.connection.control().ordered().is_none()
    }

    /// Where the filters have the connection go. While there are none, and when none
    /// chooses, the listener's fallback serves.
    fn target(&self, step: Step) -> Result<Target, Reason> {
        let connection = &self.connection;
        match connection.control().ordered() {
            Some(command) => return Err(Reason::refused(command)),
            None if step == Step::Refused => return Err(Reason::RefusedByFilter),
            None => {}
        }
        let clusters = &self.worker().shared.clusters;
        let chosen = connection
            .chain_state
            .filter_state(connection, STEERING_KEY, |name| {
                let target = clusters.target(name);
                if target.is_none() {
                    debug!(name, "a filter chose a cluster that does not exist");
                }
                target
            });
        match chosen {
            None => Ok(connection.fallback()),
            Some(target) => target.ok_or(Reason::NoReplica),
        }
    }

    /// The one exit: counts, shows the filters the end, and logs why.
    fn close(self, reason: Reason) {
        let peer = match reason {
            // As in Envoy: when the client ended first, it is the proxy that closes
            // once the replica has ended, too.
            Reason::ClientReset | Reason::ReplicaClosed => Peer::Remote,
            _ => Peer::Local,
        };
        let connection = self.connection;
        let lasted = connection.record().began.elapsed();
        self.count.close(reason, lasted);
        if reason == Reason::ReplicaReset {
            connection.chain_state.update_info(&connection, |info| {
                info.response_flags |= UPSTREAM_REMOTE_RESET
            });
        }
        if reason == Reason::ReplicaClosed && connection.record().sent_down.get() == 0 {
            connection.chain_state.left_unserved(&connection);
        }
        let refusal = match reason {
            Reason::RefusedByFilter | Reason::ClosedByFilter => refusal(&connection),
            _ => None,
        };
        let error = match reason {
            Reason::NoReplica => self.landing.failure(),
            _ => None,
        };
        if reason == Reason::UntrustedHeader {
            // The balancer's filter does not see it.
            let counter = metric_name::listener_refused(connection.listener.port, reason.as_str());
            connection.worker.shared.vm_data.count_up(&counter);
        }
        connection.chain_state.close(&connection, peer);
        let record = connection.record();
        let replica = record.replica();
        info!(
            target: "access",
            client = %connection.client(),
            listener = %connection.listener.shown_address,
            service = connection.service(),
            replica = replica.as_deref().unwrap_or("-"),
            address = %OrNone(connection.replica_address()),
            attempts = self.landing.attempts(),
            resent = self.landing.resent,
            up = record.sent_up.get(),
            down = record.sent_down.get(),
            ms = lasted.as_millis() as u64,
            reason = refusal.as_deref().unwrap_or(reason.as_str()),
            error,
            "connection"
        );
    }
}

/// Moves bytes until both sides are done.
fn forward<'a>(
    connection: &'a Connection,
    client: &'a TcpStream,
    replica: &'a TcpStream,
) -> Forward<'a, Connection> {
    Forward::new(client, replica, &connection.worker.buffers, connection)
        .timeouts(&connection.listener.timeouts)
}

/// A dash for none.
struct OrNone(Option<SocketAddr>);

impl fmt::Display for OrNone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// Why the balancer refused or closed a connection; `None`: it did not, or another filter
/// did.
fn refusal(connection: &Connection) -> Option<String> {
    let chain_state = &connection.chain_state;
    let refusal = chain_state.property(connection, REFUSAL_PROPERTY)?;
    String::from_utf8(refusal).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a quiet connection costs is mostly this.
    #[test]
    fn a_session_fits_into_a_kibibyte() {
        fn size<A, B, C, D, E, Task>(_: impl Fn(A, B, C, D, E) -> Task) -> usize {
            size_of::<Task>()
        }
        assert!(size(serve) <= 1024, "{} bytes", size(serve));
    }
}

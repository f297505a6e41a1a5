//! One connection, from the accept to the access log.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::{debug, error, info};

use crate::control::CloseCommand;
use crate::filters::chain_state::Step;
use crate::filters::connection_info::ConnectionInfo;
use crate::metrics::{OpenCount, Reason};
use crate::net::forward::{Forward, ForwardHooks, MOST_HELD, Timeouts};
use crate::proxy::caught_panic::CaughtPanic;
use crate::proxy::connection::Connection;
use crate::proxy::context::{ListenerContext, WorkerContext};
#[cfg(test)]
use crate::proxy::fault::Fault;
use crate::upstream::cluster::Target;
use crate::upstream::dial::{Attempts, Dialed, dial};
use proxy_wasm_engine::envoy::STEERING_KEY;
use proxy_wasm_engine::envoy::response_flag::UPSTREAM_REMOTE_RESET;
use proxy_wasm_engine::{Direction, End, Peer, Upstream};

/// Serves one connection. It counts as open from now on, not from the first poll:
/// a limit or a drain must not overlook it.
pub(crate) fn serve(
    worker: Rc<WorkerContext>,
    listener: Rc<ListenerContext>,
    client: TcpStream,
    source: SocketAddr,
) -> impl Future<Output = ()> {
    let mut session = Session {
        count: worker.counters.open(),
        connection: Connection::new(worker, listener, source, &client),
        attempts: 0,
        replica: None,
    };
    async move {
        let outcome = {
            let running = pin!(session.run(client));
            CaughtPanic::catch_async(running).await
        };
        let reason = outcome.unwrap_or_else(|panic| {
            error!(client = %source, %panic, "a connection is closed: its task panicked");
            Reason::InternalError
        });
        session.close(reason);
    }
}

struct Session {
    connection: Connection,
    count: OpenCount,
    attempts: u32,
    replica: Option<Arc<str>>,
}

/// What the client sent before there was a replica.
struct Early {
    bytes: BytesMut,
    end: End,
}

impl Session {
    async fn run(&mut self, client: TcpStream) -> Reason {
        let (target, early) = match self.choose(&client).await {
            Ok(chosen) => chosen,
            Err(reason) => return reason,
        };
        // On the heap, and so gone while bytes are forwarded: it is the larger part.
        let replica = match Box::pin(self.dial(target)).await {
            Ok(replica) => replica,
            Err(reason) => return reason,
        };
        #[cfg(test)]
        self.worker().shared.options.fault.strike(Fault::Session);
        self.forward(&client, &replica, early).await.into()
    }

    fn worker(&self) -> &WorkerContext {
        &self.connection.worker
    }

    /// Asks the filters where the connection goes. While there is none, and when
    /// none chooses, the listener's fallback serves.
    async fn choose(&self, client: &TcpStream) -> Result<(Target, Early), Reason> {
        let connection = &self.connection;
        let mut early = Early {
            bytes: BytesMut::new(),
            end: End::More,
        };
        let step = connection
            .chain_state
            .down(connection, 0, &mut early.bytes, early.end);
        let step = match step {
            // On the heap as well: few connections wait.
            Step::Held(_) if connection.control().ordered().is_none() => {
                Box::pin(self.wait(client, step, &mut early)).await?
            }
            other => other,
        };
        match connection.control().ordered() {
            Some(command) => return Err(refused(command)),
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
            None => Ok((connection.listener.fallback, early)),
            Some(target) => Ok((target.ok_or(Reason::NoReplica)?, early)),
        }
    }

    /// Waits while a filter holds the connection. As in Envoy the client is read
    /// meanwhile, and filters that see what it sends may let it pass.
    async fn wait(
        &self,
        client: &TcpStream,
        mut step: Step,
        early: &mut Early,
    ) -> Result<Step, Reason> {
        let connection = &self.connection;
        let chain_state = &connection.chain_state;
        while let Step::Held(at) = step {
            let Early { bytes, end } = early;
            let more = *end == End::More && bytes.len() < MOST_HELD;
            step = tokio::select! {
                biased;
                resumed = connection.control().until_resumed(at) => {
                    resumed.map_err(refused)?;
                    chain_state.resume_down(connection, at, bytes, *end)
                }
                read = read_some(client, bytes), if more => {
                    match read {
                        Ok(0) => *end = End::Last,
                        Ok(read) => connection.took(Direction::Downstream, read),
                        Err(_) => return Err(Reason::ClientReset),
                    }
                    chain_state.down(connection, 0, bytes, *end)
                }
            };
        }
        Ok(step)
    }

    /// Connects to the first of the target's replicas that can be reached, and
    /// shows the filters which, and what failed before.
    async fn dial(&mut self, target: Target) -> Result<TcpStream, Reason> {
        let worker = Rc::clone(&self.connection.worker);
        let order = worker.shared.clusters.in_order(target, &worker.round_robin);
        let mut attempts = Attempts::default();
        let dialed = {
            let deadline = Instant::now() + worker.shared.options.dial_limit;
            let dialing = dial(order, deadline, &mut attempts);
            tokio::select! {
                dialed = dialing => Ok(dialed),
                command = self.connection.control().next_order() => Err(command),
            }
        };
        self.attempts = attempts.count;
        let failed = attempts.count - u32::from(matches!(dialed, Ok(Some(_))));
        worker
            .counters
            .connect_failures
            .fetch_add(u64::from(failed), Relaxed);
        match dialed {
            Ok(Some(dialed)) => {
                self.replica = Some(Arc::clone(&dialed.endpoint.replica));
                self.show_upstream(attempts, Some(&dialed));
                Ok(dialed.socket)
            }
            Ok(None) => {
                self.show_upstream(attempts, None);
                Err(Reason::NoReplica)
            }
            Err(CloseCommand::Close) => Err(Reason::ClosedByFilter),
            Err(CloseCommand::Cut) => Err(Reason::Drained),
        }
    }

    /// Moves bytes until both sides are done.
    fn forward<'a>(
        &'a self,
        client: &'a TcpStream,
        replica: &'a TcpStream,
        early: Early,
    ) -> Forward<'a, Connection> {
        let connection = &self.connection;
        let (up, down) = connection.data_callbacks();
        Forward::new(client, replica, &connection.worker.buffers, connection)
            .show(up, down)
            .beginning_with(early.bytes, early.end)
            .timeouts(Timeouts {
                idle: connection.listener.idle_timeout,
                ..Timeouts::default()
            })
    }

    /// The one exit: counts, shows the filters the end, and logs why.
    fn close(self, reason: Reason) {
        let peer = match reason {
            // As in Envoy: when the client ended first, it is the proxy that closes
            // once the replica has ended, too.
            Reason::ClientReset | Reason::ReplicaClosed => Peer::Remote,
            _ => Peer::Local,
        };
        self.count.close(reason);
        let connection = self.connection;
        if reason == Reason::ReplicaReset {
            connection.chain_state.update_info(&connection, |info| {
                info.response_flags |= UPSTREAM_REMOTE_RESET
            });
        }
        connection.chain_state.close(&connection, peer);
        info!(
            target: "access",
            client = %connection.source,
            listener = %connection.listener.address,
            replica = self.replica.as_deref().unwrap_or("-"),
            attempts = self.attempts,
            up = connection.sent_up.get(),
            down = connection.sent_down.get(),
            ms = connection.began.elapsed().as_millis() as u64,
            reason = reason.as_str(),
            "connection"
        );
    }

    /// Shows the filters the replica, and what connecting took.
    fn show_upstream(&self, attempts: Attempts, dialed: Option<&Dialed<'_>>) {
        let upstream = dialed.map(|dialed| Upstream {
            cluster: Arc::clone(&dialed.endpoint.cluster),
            metadata: Arc::clone(&dialed.endpoint.metadata),
            address: dialed.address,
            // A socket without a name of its own is one that was reset.
            local_address: dialed.socket.local_addr().unwrap_or(dialed.address),
        });
        let connection = &self.connection;
        connection.chain_state.update_info(connection, |info| {
            info.attempts = attempts.count;
            info.response_flags |= attempts.flags;
            info.transport_failure.clone_from(&attempts.failure);
            info.upstream.clone_from(&upstream);
        });
    }
}

/// Appends what the client has sent; 0 bytes: it has finished.
async fn read_some(client: &TcpStream, bytes: &mut BytesMut) -> std::io::Result<usize> {
    loop {
        client.readable().await?;
        match client.try_read_buf(bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

fn refused(command: CloseCommand) -> Reason {
    match command {
        CloseCommand::Close => Reason::RefusedByFilter,
        CloseCommand::Cut => Reason::Drained,
    }
}

//! Where a connection lands: the replica that serves it, after those that did not.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::control::CloseCommand;
use crate::filters::connection_info::ConnectionInfo;
use crate::metrics::Reason;
use crate::net::forward::Asked;
use crate::net::socket::keep_alive;
use crate::proxy::connection::Connection;
use crate::upstream::cluster::Target;
use crate::upstream::dial::{Attempts, Dialed, dial};
use dtr_lb_filter::contract::PATIENCE;
use proxy_wasm_engine::Upstream;

/// Where a connection lands: the replica that serves it, after those that did not.
#[derive(Default)]
pub(super) struct Landing {
    /// How often what the client had sent was sent to another replica.
    pub(super) resent: u32,
    attempts: Attempts,
    times: Option<Times>,
}

#[derive(Clone, Copy)]
struct Times {
    /// When dialling ends.
    deadline: Instant,
    /// Until when a replica that ends the connection can't have waited in vain for
    /// the client to ask for something.
    patience: Instant,
}

impl Landing {
    /// Connects to the first of the target's replicas that can be reached and was
    /// not tried before, and shows the filters which, and what failed before.
    pub(super) async fn dial(
        &mut self,
        connection: &Connection,
        target: Target,
    ) -> Result<TcpStream, Reason> {
        let worker = &connection.worker;
        let dial_limit = worker.shared.options.dial_limit;
        let deadline = self.times.map(|times| times.deadline);
        let deadline = deadline.unwrap_or_else(|| Instant::now() + dial_limit);
        let order = worker.shared.clusters.in_order(target, &worker.round_robin);
        let before = self.attempts.count;
        let dialed = {
            let dialing = dial(order, connection.addresses(), deadline, &mut self.attempts);
            tokio::select! {
                dialed = dialing => Ok(dialed),
                command = connection.control().next_order() => Err(command),
            }
        };
        let reached = u32::from(matches!(dialed, Ok(Some(_))));
        let failed = self.attempts.count - before - reached;
        let failures = &worker.counters.connect_failures;
        failures.fetch_add(u64::from(failed), Relaxed);
        match dialed {
            Ok(Some(dialed)) => {
                let now = Instant::now();
                let replica = Arc::clone(&dialed.endpoint.replica);
                connection.record().landed(replica);
                self.times = Some(Times {
                    deadline,
                    patience: now + dialed.connect_timeout.min(PATIENCE),
                });
                connection.connected(dialed.endpoint.replica_index, now - dialed.began);
                self.show(connection, Some(&dialed));
                Ok(dialed.socket)
            }
            Ok(None) => {
                self.show(connection, None);
                Err(match self.attempts.lacking {
                    true => Reason::LocalResources,
                    false => Reason::NoReplica,
                })
            }
            Err(CloseCommand::Close) => Err(Reason::ClosedByFilter),
            Err(CloseCommand::Cut(cutter)) => Err(cutter.into()),
        }
    }

    /// Connects to another of the target's replicas, since the last one ended before
    /// its first byte; `None`: there is none, or it is too late.
    pub(super) async fn dial_next(
        &mut self,
        connection: &Connection,
        target: Target,
        asked: Asked,
    ) -> Option<TcpStream> {
        let times = self.times?;
        let limit = match asked {
            Asked::Yes => times.deadline,
            Asked::NotYet => times.patience.min(times.deadline),
        };
        if Instant::now() >= limit {
            return None;
        }
        self.attempts
            .unserved(connection.record().replica().as_ref()?);
        // A command is left to the forwarder.
        let socket = self.dial(connection, target).await.ok()?;
        // Not left to when the connection lasts, which it may do by now; fails only on a
        // socket that is gone already.
        let _ = keep_alive(&socket);
        self.resent += 1;
        let resent = &connection.worker.counters.first_flight_resent;
        resent.fetch_add(1, Relaxed);
        connection.record().sent_up.set(0);
        Some(socket)
    }

    /// How many connect attempts were made.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts.count
    }

    /// What was wrong with the first attempt that did not just take too long.
    pub(super) fn failure(&self) -> Option<&str> {
        self.attempts.failure.as_deref()
    }

    /// Shows the filters the replica, and what connecting took.
    fn show(&self, connection: &Connection, dialed: Option<&Dialed<'_>>) {
        let upstream = dialed.map(|dialed| {
            Arc::new(Upstream {
                cluster: Arc::clone(&dialed.endpoint.cluster),
                metadata: Arc::clone(&dialed.endpoint.metadata),
                address: dialed.address,
                local_address: match connection.worker.chain.has_others() {
                    // A socket without a name of its own is one that was reset.
                    true => dialed.socket.local_addr().unwrap_or(dialed.address),
                    // The balancer looks only whether there is one: the socket need not be asked.
                    false => (Ipv4Addr::UNSPECIFIED, 0).into(),
                },
            })
        });
        if let Some(upstream) = &upstream {
            connection.landed(Arc::clone(upstream));
        }
        let attempts = &self.attempts;
        connection.chain_state.update_info(connection, |info| {
            info.attempts = attempts.count;
            info.response_flags |= attempts.flags;
            info.transport_failure.clone_from(&attempts.failure);
            if upstream.is_some() {
                info.upstream.clone_from(&upstream);
            }
        });
    }
}

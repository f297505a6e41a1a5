//! One connection, from the accept to the access log.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::{debug, info};

use crate::cluster::Target;
use crate::control::{Control, Order};
use crate::dial::{Attempts, Dialed, UPSTREAM_RESET, dial};
use crate::forward::{DataCallbacks, Forward, Tap};
use crate::guest::Seat;
use crate::listener::Post;
use crate::metrics::Reason;
use crate::vm::{Action, Direction, End, Peer, TcpInfo, Upstream};
use crate::worker::Worker;

/// Serves one connection. It counts from now on, not from the first poll:
/// whoever limits or awaits sessions must not overlook it.
pub(crate) fn serve(
    worker: Rc<Worker>,
    post: Rc<Post>,
    client: TcpStream,
    source: SocketAddr,
) -> impl Future<Output = ()> {
    let mut session = Session::admit(worker, post, source);
    async move {
        let reason = session.run(client).await;
        session.close(reason);
    }
}

struct Session {
    worker: Rc<Worker>,
    post: Rc<Post>,
    connection: u64,
    source: SocketAddr,
    began: Instant,
    control: Rc<Control>,
    /// The guest's context for this connection, while the guest is there.
    seat: Option<Seat>,
    attempts: u32,
    replica: Option<Arc<str>>,
    sent_up: Cell<u64>,
    sent_down: Cell<u64>,
}

impl Session {
    fn admit(worker: Rc<Worker>, post: Rc<Post>, source: SocketAddr) -> Session {
        worker.counters.accepted.fetch_add(1, Relaxed);
        let connection = worker.next_connection();
        Session {
            control: worker.sessions.enter(connection),
            worker,
            post,
            connection,
            source,
            began: Instant::now(),
            seat: None,
            attempts: 0,
            replica: None,
            sent_up: Cell::new(0),
            sent_down: Cell::new(0),
        }
    }

    async fn run(&mut self, client: TcpStream) -> Reason {
        let target = match self.ask(&client).await {
            Ok(target) => target,
            Err(reason) => return reason,
        };
        // On the heap, and so gone while bytes are forwarded: it is the larger part.
        let replica = match Box::pin(self.dial(target)).await {
            Ok(replica) => replica,
            Err(reason) => return reason,
        };
        self.forward(client, replica).await.into()
    }

    /// Asks the filter where the connection goes. While there is no filter, and
    /// when it doesn't say, the listener's fallback serves.
    async fn ask(&mut self, client: &TcpStream) -> Result<Target, Reason> {
        let guest = &self.worker.guest;
        let info = self.info(client);
        let asked = guest.open(|vm, root| {
            let context = vm.open_tcp(root, info)?;
            Ok((context, vm.new_connection(context)?))
        });
        let Some((seat, action)) = asked else {
            return Ok(self.post.fallback);
        };
        self.seat = Some(seat);
        let told = match (action, self.control.ordered()) {
            (_, Some(order)) => Err(order),
            (Action::Continue, None) => Ok(()),
            (Action::Pause, None) => self.control.until_resumed().await,
        };
        told.map_err(|order| match order {
            Order::Close => Reason::RefusedByFilter,
            Order::Cut => Reason::Drained,
        })?;
        let chosen = guest.visit(seat, |vm, context| {
            Ok(vm.filter_state(context, STEERING).map(|name| {
                let target = self.worker.site.clusters.target(name);
                if target.is_none() {
                    debug!(name, "the filter steers to what does not exist");
                }
                target
            }))
        });
        match chosen.flatten() {
            None => Ok(self.post.fallback),
            Some(target) => target.ok_or(Reason::NoReplica),
        }
    }

    /// Connects to the first of the target's replicas that can be reached, and
    /// tells the filter which, and what came before.
    async fn dial(&mut self, target: Target) -> Result<TcpStream, Reason> {
        let site = Arc::clone(&self.worker.site);
        let worker = Rc::clone(&self.worker);
        let order = site.clusters.in_order(target, &worker.turns);
        let mut attempts = Attempts::default();
        let dialed = {
            let dialing = dial(order, self.began + DIAL_LIMIT, &mut attempts);
            tokio::select! {
                dialed = dialing => Ok(dialed),
                order = self.control.next_order() => Err(order),
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
                self.tell(attempts, Some(&dialed));
                Ok(dialed.socket)
            }
            Ok(None) => {
                self.tell(attempts, None);
                Err(Reason::NoReplica)
            }
            Err(Order::Close) => Err(Reason::ClosedByFilter),
            Err(Order::Cut) => Err(Reason::Drained),
        }
    }

    /// Moves bytes until both sides are done.
    fn forward(&self, client: TcpStream, replica: TcpStream) -> Forward<'_, Session> {
        let (up, down) = match self.worker.site.options.data_callbacks {
            _ if self.seat.is_none() => (DataCallbacks::None, DataCallbacks::None),
            DataCallbacks::First => (DataCallbacks::First, DataCallbacks::None),
            both => (both, both),
        };
        Forward::new(client, replica, &self.worker.buffers, self)
            .show(up, down)
            .idle_timeout(self.post.idle_timeout)
    }

    /// The one exit: tells the filter and the operator why.
    fn close(mut self, reason: Reason) {
        if let Some(seat) = self.seat.take() {
            let peer = match reason {
                Reason::ClientClosed | Reason::ClientReset | Reason::ReplicaClosed => Peer::Remote,
                _ => Peer::Local,
            };
            self.worker.guest.visit(seat, |vm, context| {
                if let (Reason::ReplicaReset, Some(info)) = (reason, vm.tcp_mut(context)) {
                    info.response_flags |= UPSTREAM_RESET;
                }
                vm.downstream_close(context, peer)?;
                vm.finish(context)
            });
        }
        self.worker.counters.closed(reason);
        self.worker.sessions.leave(self.connection);
        info!(
            target: "access",
            client = %self.source,
            listener = %self.post.address,
            replica = self.replica.as_deref().unwrap_or("-"),
            attempts = self.attempts,
            up = self.sent_up.get(),
            down = self.sent_down.get(),
            ms = self.began.elapsed().as_millis() as u64,
            reason = reason.as_str(),
            "connection"
        );
    }

    fn info(&self, client: &TcpStream) -> TcpInfo {
        let destination = match self.post.address.ip() {
            // Only then does the socket know more than the listener.
            ip if ip.is_unspecified() => client.local_addr().unwrap_or(self.post.address),
            _ => self.post.address,
        };
        let mut info = TcpInfo::new(
            self.connection,
            unmapped(self.source),
            unmapped(destination),
        );
        info.listener_metadata = Arc::clone(&self.post.metadata);
        info
    }

    fn tell(&self, attempts: Attempts, dialed: Option<&Dialed<'_>>) {
        let Some(seat) = self.seat else { return };
        self.worker.guest.visit(seat, |vm, context| {
            if let Some(info) = vm.tcp_mut(context) {
                info.attempts = attempts.count;
                info.response_flags |= attempts.flags;
                info.transport_failure = attempts.failure;
                info.upstream = dialed.map(|dialed| Upstream {
                    cluster: Arc::clone(&dialed.endpoint.cluster),
                    metadata: Arc::clone(&dialed.endpoint.metadata),
                    address: dialed.address,
                    // A socket without a name of its own is one that was reset.
                    local_address: dialed.socket.local_addr().unwrap_or(dialed.address),
                });
            }
            Ok(())
        });
    }
}

impl Tap for Session {
    fn data(&self, direction: Direction, held: &mut BytesMut, end: End) -> Action {
        let Some(seat) = self.seat else {
            return Action::Continue;
        };
        let guest = &self.worker.guest;
        let action = guest.visit(seat, |vm, context| match direction {
            _ if !vm.wants_data(context, direction) => Ok(Action::Continue),
            Direction::Downstream => vm.downstream_data(context, held, end),
            Direction::Upstream => vm.upstream_data(context, held, end),
        });
        // Without a guest nobody holds anything back.
        action.unwrap_or(Action::Continue)
    }

    fn wants_more(&self, direction: Direction) -> bool {
        let asked = |seat| {
            let guest = &self.worker.guest;
            guest.visit(seat, |vm, context| Ok(vm.wants_data(context, direction)))
        };
        self.seat.and_then(asked).unwrap_or(false)
    }

    fn ended(&self, direction: Direction) {
        let all = self.worker.site.options.data_callbacks == DataCallbacks::All;
        if let (Some(seat), true, Direction::Upstream) = (self.seat, all, direction) {
            // As in Envoy this says that the replica's FIN was seen, no more.
            let guest = &self.worker.guest;
            guest.visit(seat, |vm, context| {
                vm.upstream_close(context, Peer::Unknown)
            });
        }
    }

    fn moved(&self, direction: Direction, bytes: usize) {
        let count = match direction {
            Direction::Downstream => &self.sent_up,
            Direction::Upstream => &self.sent_down,
        };
        count.set(count.get() + bytes as u64);
        self.worker.counters.moved(direction, bytes);
    }

    fn resumed(&self) -> bool {
        self.control.take_resumed()
    }

    fn poll_order(&self, cx: &mut Context<'_>) -> Poll<Order> {
        self.control.poll_order(cx)
    }
}

/// An IPv4 client of an IPv6 listener is an IPv4 client.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => SocketAddr::new(ip.to_canonical(), address.port()),
        IpAddr::V4(_) => address,
    }
}

/// The filter state a filter steers with.
const STEERING: &str = "envoy.tcp_proxy.cluster";
/// All connect attempts of a connection together.
const DIAL_LIMIT: Duration = Duration::from_secs(30);

//! One connection, from the accept to the access log.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::{debug, info};

use crate::control::{Control, Order};
use crate::filters::chain::{Chain, Passage, Step, Traveller};
use crate::metrics::Reason;
use crate::net::forward::{DataCallbacks, Forward, MOST_HELD, Tap};
use crate::proxy::accept::Post;
use crate::proxy::worker::Worker;
use crate::upstream::cluster::Target;
use crate::upstream::dial::{Attempts, Dialed, UPSTREAM_RESET, dial};
use proxy_wasm_engine::{Action, Direction, End, Peer, TcpInfo, Upstream};

/// Serves one connection. It counts from now on, not from the first poll:
/// whoever limits or awaits sessions must not overlook it.
pub(crate) fn serve(
    worker: Rc<Worker>,
    post: Rc<Post>,
    client: TcpStream,
    source: SocketAddr,
) -> impl Future<Output = ()> {
    let mut session = Session::admit(worker, post, source, &client);
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
    /// Its way through the filters.
    passage: Passage,
    /// The socket's own end, where it differs from the listener's.
    destination: SocketAddr,
    attempts: u32,
    replica: Option<Arc<str>>,
    received: Cell<u64>,
    sent_up: Cell<u64>,
    sent_down: Cell<u64>,
}

/// What the client sent before there was a replica.
struct Early {
    bytes: BytesMut,
    end: End,
}

impl Session {
    fn admit(
        worker: Rc<Worker>,
        post: Rc<Post>,
        source: SocketAddr,
        client: &TcpStream,
    ) -> Session {
        worker.counters.accepted.fetch_add(1, Relaxed);
        let connection = worker.next_connection();
        let destination = match post.address.ip() {
            // Only then does the socket know more than the listener.
            ip if ip.is_unspecified() => client.local_addr().unwrap_or(post.address),
            _ => post.address,
        };
        Session {
            control: worker.sessions.enter(connection),
            passage: Passage::through(&worker.chain),
            destination,
            worker,
            post,
            connection,
            source,
            began: Instant::now(),
            attempts: 0,
            replica: None,
            received: Cell::new(0),
            sent_up: Cell::new(0),
            sent_down: Cell::new(0),
        }
    }

    async fn run(&mut self, client: TcpStream) -> Reason {
        let (target, early) = match self.ask(&client).await {
            Ok(asked) => asked,
            Err(reason) => return reason,
        };
        // On the heap, and so gone while bytes are forwarded: it is the larger part.
        let replica = match Box::pin(self.dial(target)).await {
            Ok(replica) => replica,
            Err(reason) => return reason,
        };
        self.forward(client, replica, early).await.into()
    }

    /// Asks the filters where the connection goes. While there is none, and when
    /// none says, the listener's fallback serves.
    async fn ask(&self, client: &TcpStream) -> Result<(Target, Early), Reason> {
        let mut early = Early {
            bytes: BytesMut::new(),
            end: End::More,
        };
        let step = self.passage.down(self, 0, &mut early.bytes, early.end);
        let step = match step {
            // On the heap as well: few connections wait.
            Step::Held(_) if self.control.ordered().is_none() => {
                Box::pin(self.wait(client, step, &mut early)).await?
            }
            other => other,
        };
        match self.control.ordered() {
            Some(order) => return Err(refused(order)),
            None if step == Step::Refused => return Err(Reason::RefusedByFilter),
            None => {}
        }
        let clusters = &self.worker.site.clusters;
        let chosen = self.passage.filter_state(self, STEERING, |name| {
            let target = clusters.target(name);
            if target.is_none() {
                debug!(name, "the filter steers to what does not exist");
            }
            target
        });
        match chosen {
            None => Ok((self.post.fallback, early)),
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
        while let Step::Held(at) = step {
            let Early { bytes, end } = early;
            let more = *end == End::More && bytes.len() < MOST_HELD;
            step = tokio::select! {
                biased;
                resumed = self.control.until_resumed(at) => {
                    resumed.map_err(refused)?;
                    self.passage.resume_down(self, at, bytes, *end)
                }
                read = read_some(client, bytes), if more => {
                    match read {
                        Ok(0) => *end = End::Last,
                        Ok(read) => self.took(Direction::Downstream, read),
                        Err(_) => return Err(Reason::ClientReset),
                    }
                    self.passage.down(self, 0, bytes, *end)
                }
            };
        }
        Ok(step)
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
    fn forward(&self, client: TcpStream, replica: TcpStream, early: Early) -> Forward<'_, Session> {
        let (up, down) = match self.worker.site.data_callbacks {
            _ if !self.passage.seated() => (DataCallbacks::None, DataCallbacks::None),
            DataCallbacks::First => (DataCallbacks::First, DataCallbacks::None),
            both => (both, both),
        };
        Forward::new(client, replica, &self.worker.buffers, self)
            .show(up, down)
            .beginning_with(early.bytes, early.end)
            .idle_timeout(self.post.idle_timeout)
    }

    /// The one exit: tells the filters and the operator why.
    fn close(self, reason: Reason) {
        let peer = match reason {
            // As in Envoy: when the client ended first, it is the proxy that closes
            // once the replica has ended, too.
            Reason::ClientReset | Reason::ReplicaClosed => Peer::Remote,
            _ => Peer::Local,
        };
        if reason == Reason::ReplicaReset {
            self.passage
                .tell(&self, |info| info.response_flags |= UPSTREAM_RESET);
        }
        self.passage.close(&self, peer);
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

    fn tell(&self, attempts: Attempts, dialed: Option<&Dialed<'_>>) {
        let upstream = dialed.map(|dialed| Upstream {
            cluster: Arc::clone(&dialed.endpoint.cluster),
            metadata: Arc::clone(&dialed.endpoint.metadata),
            address: dialed.address,
            // A socket without a name of its own is one that was reset.
            local_address: dialed.socket.local_addr().unwrap_or(dialed.address),
        });
        self.passage.tell(self, |info| {
            info.attempts = attempts.count;
            info.response_flags |= attempts.flags;
            info.transport_failure.clone_from(&attempts.failure);
            info.upstream.clone_from(&upstream);
        });
    }
}

impl Traveller for Session {
    fn chain(&self) -> &Chain {
        &self.worker.chain
    }

    fn control(&self) -> &Control {
        &self.control
    }

    fn info(&self) -> TcpInfo {
        let mut info = TcpInfo::new(self.connection, self.source, self.destination);
        info.listener_metadata = Arc::clone(&self.post.metadata);
        info.time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .saturating_sub(self.began.elapsed());
        self.refresh(&mut info);
        info
    }

    fn refresh(&self, info: &mut TcpInfo) {
        info.received = self.received.get();
        info.sent = self.sent_down.get();
    }
}

impl Tap for Session {
    fn data(&self, direction: Direction, held: &mut BytesMut, end: End) -> Action {
        match direction {
            Direction::Downstream => match self.passage.down(self, 0, held, end) {
                Step::Through => Action::Continue,
                Step::Held(_) | Step::Refused => Action::Pause,
            },
            Direction::Upstream => self.passage.up(self, usize::MAX, held, end),
        }
    }

    fn wants_more(&self, direction: Direction) -> bool {
        self.passage.wants_more(self, direction)
    }

    fn ended(&self, direction: Direction) {
        let all = self.worker.site.data_callbacks == DataCallbacks::All;
        if all && direction == Direction::Upstream {
            self.passage.upstream_ended(self);
        }
    }

    fn took(&self, direction: Direction, bytes: usize) {
        if direction == Direction::Downstream {
            self.received.set(self.received.get() + bytes as u64);
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

    fn resumed(&self, direction: Direction, held: &mut BytesMut, end: End) -> Option<Action> {
        self.passage.resumed(self, direction, held, end)
    }

    fn poll_order(&self, cx: &mut Context<'_>) -> Poll<Order> {
        self.control.poll_order(cx)
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

fn refused(order: Order) -> Reason {
    match order {
        Order::Close => Reason::RefusedByFilter,
        Order::Cut => Reason::Drained,
    }
}

/// The filter state a filter steers with.
const STEERING: &str = "envoy.tcp_proxy.cluster";
/// All connect attempts of a connection together.
const DIAL_LIMIT: Duration = Duration::from_secs(30);

//! A client's connection as filters and forwarding see it.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::control::CloseCommand;
use crate::control::command::SessionControl;
use crate::control::session_record::SessionRecord;
use crate::control::sessions::OpenSession;
use crate::filters::chain::Chain;
use crate::filters::chain_state::{FilterChainState, Step};
use crate::filters::connection_info::ConnectionInfo;
use crate::metrics::{BytesIndex, ReplicaIndex};
use crate::net::forward::{DataCallbacks, ForwardHooks};
use crate::net::proxy_header::ConnectionAddresses;
use crate::proxy::context::{ListenerContext, ProxyHeader, WorkerContext};
use crate::proxy::requested_service::RequestedService;
use crate::upstream::cluster::Target;
use proxy_wasm_engine::{Action, Direction, End, TcpInfo, Upstream};

/// A client's connection as filters and forwarding see it.
pub(super) struct Connection {
    pub(super) worker: Rc<WorkerContext>,
    pub(super) listener: Rc<ListenerContext>,
    /// Its way through the filters.
    pub(super) chain_state: FilterChainState,
    /// The socket's own end, where it differs from the listener's; of a proxy's client, where
    /// that one connected to.
    destination: Cell<SocketAddr>,
    received: Cell<u64>,
    /// What it was asked for by, in TLS, where that was looked at.
    server_name: OnceCell<Arc<str>>,
    /// Where its bytes are counted, once it is connected.
    bytes: Cell<Option<BytesIndex>>,
    /// The replica it is connected to.
    upstream: RefCell<Option<Arc<Upstream>>>,
    open: OpenSession,
}

impl Connection {
    pub(super) fn new(
        worker: Rc<WorkerContext>,
        listener: Rc<ListenerContext>,
        source: SocketAddr,
        client: &TcpStream,
    ) -> Connection {
        let id = worker.next_connection();
        let is_asked = worker.chain.has_others() || listener.proxy_header == ProxyHeader::Sent;
        let destination = match listener.address.ip() {
            // Only then does the socket know more than the listener, and the balancer does
            // not ask.
            ip if ip.is_unspecified() && is_asked => {
                client.local_addr().unwrap_or(listener.address)
            }
            _ => listener.address,
        };
        Connection {
            open: worker
                .sessions
                .enter(id, SessionRecord::new(source, listener.address)),
            chain_state: FilterChainState::new(&worker.chain),
            worker,
            listener,
            destination: Cell::new(destination),
            received: Cell::new(0),
            server_name: OnceCell::new(),
            bytes: Cell::new(None),
            upstream: RefCell::new(None),
        }
    }

    /// It is for this service.
    pub(super) fn requested(&self, service: RequestedService) {
        self.record().service.set(Some(service.place));
        if let Some(name) = service.server_name {
            // A client is asked once.
            let _ = self.server_name.set(name);
        }
    }

    /// What others may know of it.
    pub(super) fn record(&self) -> &SessionRecord {
        self.open.record()
    }

    /// Where it goes when no filter chooses.
    pub(super) fn fallback(&self) -> Target {
        let place = self.record().service.get();
        let fallback = place.and_then(|place| self.listener.service_fallbacks.get(place));
        *fallback.unwrap_or(&self.listener.fallback)
    }

    /// Who the client is: the other end of its connection, unless a trusted proxy has said
    /// otherwise.
    pub(super) fn client(&self) -> SocketAddr {
        self.record().client.get()
    }

    /// A trusted proxy says who the client is, and where it connected to.
    pub(super) fn is_of(&self, addresses: ConnectionAddresses) {
        self.record().client.set(addresses.source);
        self.destination.set(addresses.destination);
    }

    /// Who the client is, and where it connected to.
    pub(super) fn addresses(&self) -> ConnectionAddresses {
        ConnectionAddresses {
            source: self.client(),
            destination: self.destination.get(),
        }
    }

    /// The replica's address that it is connected to, or was last.
    pub(super) fn replica_address(&self) -> Option<SocketAddr> {
        self.upstream.borrow().as_ref().map(|it| it.address)
    }

    /// The filters have been shown the connection.
    pub(super) fn seen(&self) {
        self.open.seen();
    }

    /// It was connected to this replica after so long.
    pub(super) fn connected(&self, replica: ReplicaIndex, took: Duration) {
        let traffic = &self.worker.counters.traffic;
        let bytes = traffic.connected(self.listener.index, replica, took);
        self.bytes.set(Some(bytes));
    }

    /// It is connected to this replica.
    pub(super) fn landed(&self, upstream: Arc<Upstream>) {
        *self.upstream.borrow_mut() = Some(upstream);
    }

    /// Which chunks the filters are shown, of each way.
    pub(super) fn data_callbacks(&self) -> DataCallbacks {
        match self.chain_state.has_contexts() {
            true => self.worker.shared.data_callbacks,
            false => DataCallbacks::None,
        }
    }
}

impl ConnectionInfo for Connection {
    fn chain(&self) -> &Chain {
        &self.worker.chain
    }

    fn port(&self) -> u16 {
        self.listener.port
    }

    fn service(&self) -> Option<&str> {
        let services = self.listener.services.as_ref()?;
        services.name(self.record().service.get()?)
    }

    fn control(&self) -> &SessionControl {
        &self.record().control
    }

    fn info(&self) -> TcpInfo {
        let mut info = TcpInfo::new(
            self.open.connection(),
            self.client(),
            self.destination.get(),
        );
        info.time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .saturating_sub(self.record().began.elapsed());
        info.upstream.clone_from(&self.upstream.borrow());
        info.requested_server_name = self.server_name.get().cloned();
        self.refresh(&mut info);
        info
    }

    fn refresh(&self, info: &mut TcpInfo) {
        info.received = self.received.get();
        info.sent = self.record().sent_down.get();
    }
}

impl ForwardHooks for Connection {
    fn data(&self, direction: Direction, held: &mut BytesMut, end: End) -> Action {
        match direction {
            Direction::Downstream => match self.chain_state.down(self, 0, held, end) {
                Step::Through => Action::Continue,
                Step::Held(_) | Step::Refused => Action::Pause,
            },
            Direction::Upstream => self.chain_state.up(self, usize::MAX, held, end),
        }
    }

    fn wants_more(&self, direction: Direction) -> bool {
        self.chain_state.wants_more(self, direction)
    }

    fn ended(&self, direction: Direction) {
        if direction == Direction::Upstream {
            self.chain_state.upstream_ended(self);
        }
    }

    fn took(&self, direction: Direction, bytes: usize) {
        if direction == Direction::Downstream {
            self.received.set(self.received.get() + bytes as u64);
        }
    }

    fn moved(&self, direction: Direction, bytes: usize) {
        let count = match direction {
            Direction::Downstream => &self.record().sent_up,
            Direction::Upstream => &self.record().sent_down,
        };
        count.set(count.get() + bytes as u64);
        if let Some(at) = self.bytes.get() {
            self.worker.counters.traffic.moved(at, direction, bytes);
        }
    }

    fn resumed(&self, direction: Direction, held: &mut BytesMut, end: End) -> Option<Action> {
        self.chain_state.resumed(self, direction, held, end)
    }

    fn take_lasting(&self) -> bool {
        self.control().take_lasting()
    }

    fn poll_order(&self, cx: &mut Context<'_>) -> Poll<CloseCommand> {
        if self.control().take_vm_replaced() {
            self.chain_state.reopen(self);
        }
        self.control().poll_order(cx)
    }
}

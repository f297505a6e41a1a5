//! A client's end and an upstream's end of a TCP connection.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::vm::{ContextId, Direction, End, ListenerDirection, Peer, TcpInfo};

use super::stage::Stage;
use super::tcp::Phase;

/// A TCP connection to be; made by [`TestKit::tcp`](super::TestKit::tcp).
pub struct TcpConnect {
    stage: Rc<RefCell<Stage>>,
    worker: usize,
    root_id: Option<String>,
    info: TcpInfo,
    cluster: String,
    properties: Vec<(String, Vec<u8>)>,
}

impl TcpConnect {
    pub(super) fn new(stage: Rc<RefCell<Stage>>, cluster: &str) -> TcpConnect {
        TcpConnect {
            worker: 0,
            root_id: None,
            info: new_info(&stage),
            cluster: cluster.to_owned(),
            properties: Vec::new(),
            stage,
        }
    }

    /// The client's address; made up if not said.
    ///
    /// # Panics
    /// When this is not an IP address with a port.
    pub fn from(mut self, address: &str) -> TcpConnect {
        self.info.source = parse("from", address);
        self
    }

    /// The address it connects to; 10.0.0.1:443 if not said.
    ///
    /// # Panics
    /// When this is not an IP address with a port.
    pub fn to(mut self, address: &str) -> TcpConnect {
        self.info.destination = parse("to", address);
        self
    }

    /// Which worker takes it, counted from 0; the first if not said.
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn on_worker(mut self, worker: usize) -> TcpConnect {
        check_worker(&self.stage, worker);
        self.worker = worker;
        self
    }

    /// Which plugin filters it, by root id; the first if not said.
    pub fn root_id(mut self, root_id: &str) -> TcpConnect {
        self.root_id = Some(root_id.to_owned());
        self
    }

    /// The cluster it goes to unless the filter chooses; `default` if not said.
    pub fn cluster(mut self, name: &str) -> TcpConnect {
        self.cluster = name.to_owned();
        self
    }

    /// What the guest reads as `listener_metadata.filter_metadata`:
    /// `json!({"dtr": {"port": "443"}})`.
    pub fn listener_metadata(mut self, filter_metadata: Value) -> TcpConnect {
        self.info.listener_metadata = Arc::new(json!({ "filter_metadata": filter_metadata }));
        self
    }

    /// What the guest reads as `listener_direction`.
    pub fn listener_direction(mut self, direction: ListenerDirection) -> TcpConnect {
        self.info.listener_direction = direction;
        self
    }

    /// The name that TLS asks for, as `connection.requested_server_name`.
    pub fn server_name(mut self, name: &str) -> TcpConnect {
        self.info.requested_server_name = Some(name.into());
        self
    }

    /// A property of this connection alone, by its path with dots. Known to the
    /// guest from `on_new_connection` on.
    pub fn property(mut self, path: impl Into<String>, value: impl AsRef<[u8]>) -> TcpConnect {
        self.properties.push((path.into(), value.as_ref().to_vec()));
        self
    }

    /// The client connects.
    ///
    /// # Panics
    /// When no plugin has the root id asked for.
    pub fn connect(self) -> Client {
        let key = {
            let mut stage = self.stage.borrow_mut();
            let root = root(&stage, self.worker, self.root_id.as_deref());
            let key = stage.connect(self.worker, root, self.info, self.cluster, self.properties);
            stage.settle();
            key
        };
        Client {
            stage: self.stage,
            key,
            state: Vec::new(),
        }
    }
}

/// A client's end of a connection.
pub struct Client {
    stage: Rc<RefCell<Stage>>,
    key: usize,
    /// Values lent out by `filter_state`.
    state: Vec<(String, String)>,
}

impl Client {
    /// Sends bytes. On a closed connection they are lost.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.push(Direction::Downstream, bytes.as_ref(), End::More);
    }

    /// Sends no more, but still reads: half-close.
    pub fn finish(&mut self) {
        self.push(Direction::Downstream, &[], End::Last);
    }

    /// Sends the last bytes and the end of the stream at once.
    pub fn send_last(&mut self, bytes: impl AsRef<[u8]>) {
        self.push(Direction::Downstream, bytes.as_ref(), End::Last);
    }

    /// Goes away in peace: sends no more; an upstream that sees it does the same,
    /// and all is closed.
    pub fn close(&mut self) {
        self.finish();
        if self.stage.borrow().connections[self.key].down.arrived_end {
            self.push(Direction::Upstream, &[], End::Last);
        }
        let mut stage = self.stage.borrow_mut();
        stage.close(self.key, Peer::Remote);
        stage.settle();
    }

    /// Goes away at once.
    pub fn reset(&mut self) {
        let mut stage = self.stage.borrow_mut();
        stage.close(self.key, Peer::Remote);
        stage.settle();
    }

    /// All bytes that arrived at the client so far.
    pub fn received(&self) -> Bytes {
        let stage = self.stage.borrow();
        Bytes::copy_from_slice(&stage.connections[self.key].up.arrived)
    }

    /// Whether the client saw the end of what the upstream sends.
    pub fn saw_end(&self) -> bool {
        self.stage.borrow().connections[self.key].up.arrived_end
    }

    /// Whether nobody closed the connection yet.
    pub fn is_open(&self) -> bool {
        self.closed_by().is_none()
    }

    /// Who closed the connection: [`Peer::Local`] is the proxy (for its own
    /// reasons, or since the upstream was lost), [`Peer::Remote`] the client.
    pub fn closed_by(&self) -> Option<Peer> {
        self.stage.borrow().connections[self.key].closed
    }

    /// Whether bytes can flow: there is an upstream.
    pub fn is_connected(&self) -> bool {
        let stage = self.stage.borrow();
        let connection = &stage.connections[self.key];
        connection.closed.is_none() && connection.phase == Phase::Open
    }

    /// Whether the filter holds the connection, or bytes of the client.
    pub fn is_paused(&self) -> bool {
        let stage = self.stage.borrow();
        let connection = &stage.connections[self.key];
        connection.closed.is_none() && (connection.phase == Phase::Held || connection.down.paused)
    }

    /// Bytes of the client that the filter holds back.
    pub fn held(&self) -> usize {
        self.stage.borrow().connections[self.key].down.held.len()
    }

    /// How many connect attempts there were.
    pub fn attempts(&self) -> u32 {
        self.stage.borrow().connections[self.key].attempt
    }

    /// Envoy's response flags: UR 16, UF 32, URX 32768, NC 16777216.
    pub fn response_flags(&self) -> u64 {
        self.stage.borrow().connections[self.key].flags
    }

    /// What the filter set with `set_envoy_filter_state`, such as
    /// `envoy.tcp_proxy.cluster`; known after the end, too.
    pub fn filter_state(&mut self, key: &str) -> Option<&str> {
        let value = {
            let stage = self.stage.borrow();
            let connection = &stage.connections[self.key];
            let live = connection.context.and_then(|context| {
                let vm = stage.workers[connection.worker].vm.as_ref()?;
                vm.filter_state(context, key).map(str::to_owned)
            });
            live.or_else(|| connection.filter_state.get(key).cloned())
        }?;
        self.state.retain(|(known, _)| known != key);
        self.state.push((key.to_owned(), value));
        self.state.last().map(|(_, value)| value.as_str())
    }

    /// The context of this connection in the guest, also after it is gone;
    /// `None`: there was no VM when it came.
    pub fn context_id(&self) -> Option<ContextId> {
        self.stage.borrow().connections[self.key].first_context
    }

    /// Sets a property of this connection alone, by its path with dots.
    pub fn set_property(&mut self, path: impl Into<String>, value: impl AsRef<[u8]>) {
        let stage = self.stage.borrow();
        let connection = &stage.connections[self.key];
        if let Some(context) = connection.context {
            let of = Some((connection.worker, context));
            let value = value.as_ref().to_vec();
            stage.ground.set_property(of, path.into(), value);
        }
    }

    /// The upstream's end.
    ///
    /// # Panics
    /// When the connection never got that far.
    pub fn upstream(&mut self) -> Upstream {
        let cluster = {
            let stage = self.stage.borrow();
            let connection = &stage.connections[self.key];
            match &connection.upstream {
                Some(cluster) if connection.phase == Phase::Open => cluster.clone(),
                _ => panic!(
                    "client {} has no upstream: {}",
                    connection.source,
                    match (connection.closed, connection.phase) {
                        (Some(by), _) => format!("the connection is closed ({by:?})"),
                        (None, Phase::Held) => "the filter holds the connection".to_owned(),
                        (None, _) => "it is still being connected; advance time".to_owned(),
                    }
                ),
            }
        };
        Upstream {
            stage: self.stage.clone(),
            key: self.key,
            cluster,
        }
    }

    fn push(&mut self, direction: Direction, bytes: &[u8], end: End) {
        let mut stage = self.stage.borrow_mut();
        stage.send(self.key, direction, bytes, end);
        stage.settle();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = self.stage.borrow();
        let connection = &stage.connections[self.key];
        f.debug_struct("Client")
            .field("from", &connection.source)
            .field("phase", &connection.phase)
            .field("upstream", &connection.upstream)
            .field("closed", &connection.closed)
            .finish()
    }
}

/// An upstream's end of a connection.
pub struct Upstream {
    stage: Rc<RefCell<Stage>>,
    key: usize,
    cluster: String,
}

impl Upstream {
    /// The cluster it belongs to.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// All bytes that arrived here so far.
    pub fn received(&self) -> Bytes {
        let stage = self.stage.borrow();
        Bytes::copy_from_slice(&stage.connections[self.key].down.arrived)
    }

    /// Whether the end of what the client sends arrived here.
    pub fn saw_end(&self) -> bool {
        self.stage.borrow().connections[self.key].down.arrived_end
    }

    /// Whether the connection is open still.
    pub fn is_open(&self) -> bool {
        self.stage.borrow().connections[self.key].closed.is_none()
    }

    /// Sends bytes to the client. On a closed connection they are lost.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.push(bytes.as_ref(), End::More);
    }

    /// Sends no more, but still reads: half-close.
    pub fn finish(&mut self) {
        self.push(&[], End::Last);
    }

    /// Sends the last bytes and the end of the stream at once.
    pub fn send_last(&mut self, bytes: impl AsRef<[u8]>) {
        self.push(bytes.as_ref(), End::Last);
    }

    /// Goes away at once.
    pub fn reset(&mut self) {
        let mut stage = self.stage.borrow_mut();
        stage.upstream_resets(self.key);
        stage.settle();
    }

    fn push(&mut self, bytes: &[u8], end: End) {
        let mut stage = self.stage.borrow_mut();
        stage.send(self.key, Direction::Upstream, bytes, end);
        stage.settle();
    }
}

/// A connection as it comes, with a made-up client.
pub(super) fn new_info(stage: &Rc<RefCell<Stage>>) -> TcpInfo {
    let mut stage = stage.borrow_mut();
    stage.last_connection_id += 1;
    let id = stage.last_connection_id;
    let port = u16::try_from(50_000 + id % 10_000).unwrap_or(50_000);
    let source = SocketAddr::from(([10, 0, 1, 1], port));
    let destination = SocketAddr::from(([10, 0, 0, 1], 443));
    TcpInfo::new(id, source, destination)
}

pub(super) fn check_worker(stage: &Rc<RefCell<Stage>>, worker: usize) {
    let count = stage.borrow().workers.len();
    assert!(
        worker < count,
        "worker {worker}: there are {count}, counted from 0; ask for more with .workers(..)"
    );
}

pub(super) fn root(stage: &Stage, worker: usize, root_id: Option<&str>) -> ContextId {
    let Some(vm) = stage.workers[worker].vm.as_ref() else {
        // Without a VM the root does not matter.
        return ContextId(0);
    };
    let found = match root_id {
        Some(root_id) => vm.root(root_id),
        None => vm.roots().first().copied(),
    };
    let Some(found) = found else {
        let known: Vec<&str> = stage.workers[worker]
            .config
            .plugins
            .iter()
            .map(|plugin| plugin.root_id.as_str())
            .collect();
        panic!(
            "no plugin has root id {:?}; there are {known:?}",
            root_id.unwrap_or_default()
        );
    };
    found
}

pub(super) fn parse(what: &str, address: &str) -> SocketAddr {
    let Ok(parsed) = address.parse() else {
        panic!("{what}: {address:?} is not IP:PORT, such as 10.0.0.7:4000");
    };
    parsed
}

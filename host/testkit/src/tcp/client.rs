//! A client's end of a TCP connection.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use proxy_wasm_engine::{ContextId, Direction, End, Peer};

use super::upstream::Upstream;
use crate::simulator::Simulator;
use crate::tcp::connection::ConnectionPhase;

/// A client's end of a connection.
pub struct Client {
    simulator: Rc<RefCell<Simulator>>,
    key: usize,
    /// Values lent out by `filter_state`.
    state: Vec<(String, String)>,
}

impl Client {
    pub(crate) fn new(simulator: Rc<RefCell<Simulator>>, key: usize) -> Client {
        Client {
            simulator,
            key,
            state: Vec::new(),
        }
    }

    /// Sends bytes. On a closed connection they are lost.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.push(Direction::Downstream, bytes.as_ref(), End::More);
    }

    /// Half-close: sends no more, but still reads.
    pub fn finish(&mut self) {
        self.push(Direction::Downstream, &[], End::Last);
    }

    /// Sends the last bytes and the end of the stream at once.
    pub fn send_last(&mut self, bytes: impl AsRef<[u8]>) {
        self.push(Direction::Downstream, bytes.as_ref(), End::Last);
    }

    /// Closes in order: finishes, an upstream that sees the end finishes, too, and
    /// the connection is closed.
    pub fn close(&mut self) {
        self.finish();
        if self.simulator.borrow().connections[self.key]
            .down
            .arrived_end
        {
            self.push(Direction::Upstream, &[], End::Last);
        }
        let mut simulator = self.simulator.borrow_mut();
        simulator.close(self.key, Peer::Remote);
        simulator.settle();
    }

    /// Closes the connection at once, without a half-close.
    pub fn reset(&mut self) {
        let mut simulator = self.simulator.borrow_mut();
        simulator.close(self.key, Peer::Remote);
        simulator.settle();
    }

    /// All bytes that arrived at the client so far.
    pub fn received(&self) -> Bytes {
        let simulator = self.simulator.borrow();
        Bytes::copy_from_slice(&simulator.connections[self.key].up.arrived)
    }

    /// Whether the client saw the end of what the upstream sends.
    pub fn saw_end(&self) -> bool {
        self.simulator.borrow().connections[self.key].up.arrived_end
    }

    /// Whether nobody closed the connection yet.
    pub fn is_open(&self) -> bool {
        self.closed_by().is_none()
    }

    /// Who closed the connection: [`Peer::Local`] is the proxy (for its own
    /// reasons, or since the upstream was lost), [`Peer::Remote`] the client.
    pub fn closed_by(&self) -> Option<Peer> {
        self.simulator.borrow().connections[self.key].closed
    }

    /// Whether bytes can flow: there is an upstream.
    pub fn is_connected(&self) -> bool {
        let simulator = self.simulator.borrow();
        let connection = &simulator.connections[self.key];
        connection.closed.is_none() && connection.phase == ConnectionPhase::Open
    }

    /// Whether the filter holds the connection, or bytes of the client.
    pub fn is_paused(&self) -> bool {
        let simulator = self.simulator.borrow();
        let connection = &simulator.connections[self.key];
        connection.closed.is_none()
            && (connection.phase == ConnectionPhase::Held || connection.down.paused)
    }

    /// Bytes of the client that the filter holds back.
    pub fn held(&self) -> usize {
        self.simulator.borrow().connections[self.key]
            .down
            .held
            .len()
    }

    /// How many connect attempts there were.
    pub fn attempts(&self) -> u32 {
        self.simulator.borrow().connections[self.key].attempt
    }

    /// Envoy's response flags: UR 16, UF 32, URX 32768, NC 16777216.
    pub fn response_flags(&self) -> u64 {
        self.simulator.borrow().connections[self.key].flags
    }

    /// What the filter set with `set_envoy_filter_state`, such as
    /// `envoy.tcp_proxy.cluster`; known after the end, too.
    pub fn filter_state(&mut self, key: &str) -> Option<&str> {
        let value = {
            let simulator = self.simulator.borrow();
            let connection = &simulator.connections[self.key];
            let live = simulator.filter_state(connection.worker, connection.context, key);
            live.or_else(|| connection.filter_state.get(key).cloned())
        }?;
        self.state.retain(|(known, _)| known != key);
        self.state.push((key.to_owned(), value));
        self.state.last().map(|(_, value)| value.as_str())
    }

    /// The context of this connection in the guest, also after it is gone;
    /// `None`: there was no VM when it came.
    pub fn context_id(&self) -> Option<ContextId> {
        self.simulator.borrow().connections[self.key].first_context
    }

    /// Sets a property of this connection alone, by its path with dots.
    pub fn set_property(&mut self, path: impl Into<String>, value: impl AsRef<[u8]>) {
        let simulator = self.simulator.borrow();
        let connection = &simulator.connections[self.key];
        if let Some(context) = connection.context {
            let of = Some((connection.worker, context));
            let value = value.as_ref().to_vec();
            simulator.kit_state.set_property(of, path.into(), value);
        }
    }

    /// The upstream's end.
    ///
    /// # Panics
    /// When the connection never got that far.
    pub fn upstream(&mut self) -> Upstream {
        let cluster = {
            let simulator = self.simulator.borrow();
            let connection = &simulator.connections[self.key];
            match &connection.upstream {
                Some(cluster) if connection.phase == ConnectionPhase::Open => cluster.clone(),
                _ => panic!(
                    "client {} has no upstream: {}",
                    connection.source,
                    match (connection.closed, connection.phase) {
                        (Some(by), _) => format!("the connection is closed ({by:?})"),
                        (None, ConnectionPhase::Held) =>
                            "the filter holds the connection".to_owned(),
                        (None, _) => "it is still being connected; advance time".to_owned(),
                    }
                ),
            }
        };
        Upstream {
            simulator: self.simulator.clone(),
            key: self.key,
            cluster,
        }
    }

    fn push(&mut self, direction: Direction, bytes: &[u8], end: End) {
        let mut simulator = self.simulator.borrow_mut();
        simulator.send(self.key, direction, bytes, end);
        simulator.settle();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simulator = self.simulator.borrow();
        let connection = &simulator.connections[self.key];
        f.debug_struct("Client")
            .field("from", &connection.source)
            .field("phase", &connection.phase)
            .field("upstream", &connection.upstream)
            .field("closed", &connection.closed)
            .finish()
    }
}

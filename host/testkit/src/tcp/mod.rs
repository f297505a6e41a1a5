//! TCP connections through the filter, as Envoy's `tcp_proxy` carries them.

pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod connection;
mod dial;
pub(crate) mod upstream;

use std::collections::BTreeMap;

use bytes::BytesMut;

use proxy_wasm_engine::envoy::response_flag::UPSTREAM_REMOTE_RESET;
use proxy_wasm_engine::{Action, ContextId, Direction, End, Peer, TcpInfo};

use crate::cluster::Behaviour;
use crate::simulator::Simulator;
use connection::{ByteFlow, Connection, ConnectionPhase};

impl Simulator {
    /// A client connects; which connection it is.
    pub(crate) fn connect(
        &mut self,
        worker: usize,
        root: ContextId,
        info: TcpInfo,
        default_cluster: String,
        properties: Vec<(String, Vec<u8>)>,
    ) -> usize {
        let source = info.source;
        self.kit_state
            .note(worker, format!("client {source} connects"));
        let key = self.connections.len();
        self.connections.push(Connection {
            worker,
            source,
            context: None,
            first_context: None,
            phase: ConnectionPhase::Held,
            default_cluster,
            candidates: Vec::new(),
            attempt: 0,
            outcome: None,
            flags: 0,
            transport_failure: None,
            upstream: None,
            down: ByteFlow::default(),
            up: ByteFlow::default(),
            closed: None,
            filter_state: BTreeMap::new(),
        });
        let context = self.call_guest(worker, |vm| vm.open_tcp(root, info));
        self.connections[key].context = context;
        self.connections[key].first_context = context;
        let Some(context) = context else {
            self.dial(key);
            return key;
        };
        for (path, value) in properties {
            (self.kit_state).set_property(Some((worker, context)), path, value);
        }
        match self.call_guest(worker, |vm| vm.new_connection(context)) {
            Some(Action::Pause) => {}
            Some(Action::Continue) => self.dial(key),
            // It trapped, and the connection is on its way without a filter.
            None => {}
        }
        key
    }

    /// Bytes come in from the client or from the upstream.
    pub(crate) fn send(&mut self, key: usize, direction: Direction, bytes: &[u8], end: End) {
        let connection = &mut self.connections[key];
        if connection.closed.is_some() || connection.flow(direction).sent_end {
            return;
        }
        let flow = connection.flow(direction);
        flow.waiting.extend_from_slice(bytes);
        if end == End::Last {
            flow.waiting_end = true;
            flow.sent_end = true;
        }
        self.feed(key, direction);
    }

    /// Shows waiting bytes to the guest and passes on what it lets through.
    pub(crate) fn feed(&mut self, key: usize, direction: Direction) {
        let connection = &mut self.connections[key];
        let (worker, context) = (connection.worker, connection.context);
        let dialling = connection.phase == ConnectionPhase::Dialling;
        // Until the upstream is connected nothing is read from the client.
        if connection.closed.is_some() || (direction == Direction::Downstream && dialling) {
            return;
        }
        let flow = connection.flow(direction);
        if flow.waiting.is_empty() && !flow.waiting_end {
            return;
        }
        let mut data = std::mem::take(&mut flow.held);
        data.unsplit(std::mem::take(&mut flow.waiting));
        let last = std::mem::take(&mut flow.waiting_end) | std::mem::take(&mut flow.held_end);
        let end = if last { End::Last } else { End::More };
        let wanted = context.filter(|context| {
            let vm = self.workers[worker].vm.as_ref();
            vm.is_some_and(|vm| vm.wants_data(*context, direction))
        });
        let action = match wanted {
            None => Action::Continue,
            Some(context) => self
                .call_guest(worker, |vm| match direction {
                    Direction::Downstream => vm.downstream_data(context, &mut data, end),
                    Direction::Upstream => vm.upstream_data(context, &mut data, end),
                })
                // It trapped: the connection goes on without it.
                .unwrap_or(Action::Continue),
        };
        let flow = self.connections[key].flow(direction);
        flow.paused = action == Action::Pause;
        match action {
            Action::Pause => {
                flow.held = data;
                flow.held_end = last;
            }
            Action::Continue => {
                // If it closed the connection in this callback, nothing passes.
                self.carry_out_effects();
                self.let_through(key, direction, data, last);
            }
        }
    }

    /// The guest lets these bytes through.
    fn let_through(&mut self, key: usize, direction: Direction, data: BytesMut, end: bool) {
        let connection = &mut self.connections[key];
        if connection.closed.is_some() {
            return;
        }
        if direction == Direction::Downstream && connection.phase != ConnectionPhase::Open {
            connection.down.approved.unsplit(data);
            connection.down.approved_end |= end;
            if connection.phase == ConnectionPhase::Held {
                self.dial(key);
            }
            return;
        }
        self.arrive(key, direction, &data, end);
    }

    pub(crate) fn arrive(&mut self, key: usize, direction: Direction, data: &[u8], end: bool) {
        let connection = &mut self.connections[key];
        if connection.closed.is_some() {
            return;
        }
        let (worker, context) = (connection.worker, connection.context);
        let flow = connection.flow(direction);
        flow.arrived.extend_from_slice(data);
        flow.arrived_end |= end;
        let resets = (connection.outcome.as_ref())
            .is_some_and(|cluster| matches!(cluster.behaviour, Behaviour::Resets));
        if direction == Direction::Downstream && resets && !data.is_empty() {
            self.upstream_resets(key);
            return;
        }
        if end {
            if let (Direction::Upstream, Some(context)) = (direction, context) {
                self.call_guest(worker, |vm| vm.upstream_close(context, Peer::Unknown));
            }
            let connection = &self.connections[key];
            if connection.down.arrived_end && connection.up.arrived_end {
                // The side whose end comes last closes it.
                let by = match direction {
                    Direction::Downstream => Peer::Remote,
                    Direction::Upstream => Peer::Local,
                };
                self.close(key, by);
            }
        }
    }

    pub(crate) fn continue_downstream(&mut self, worker: usize, context: ContextId) {
        let Some(key) = self.connection_of(worker, context) else {
            return;
        };
        if self.connections[key].phase == ConnectionPhase::Held
            && !self.connections[key].down.paused
        {
            self.dial(key);
        }
        self.resume(key, Direction::Downstream);
    }

    pub(crate) fn continue_upstream(&mut self, worker: usize, context: ContextId) {
        if let Some(key) = self.connection_of(worker, context) {
            self.resume(key, Direction::Upstream);
        }
    }

    /// Lets held bytes through without another callback.
    fn resume(&mut self, key: usize, direction: Direction) {
        let flow = self.connections[key].flow(direction);
        if std::mem::take(&mut flow.paused) {
            let data = std::mem::take(&mut flow.held);
            let end = std::mem::take(&mut flow.held_end);
            self.let_through(key, direction, data, end);
        }
    }

    pub(crate) fn close_connection(&mut self, worker: usize, context: ContextId) {
        if let Some(key) = self.connection_of(worker, context) {
            self.close(key, Peer::Local);
        }
    }

    /// Nothing to do: the VM no longer wants this connection's bytes.
    pub(crate) fn skip_data(&mut self, _worker: usize, _context: ContextId) {}

    pub(crate) fn upstream_resets(&mut self, key: usize) {
        if self.connections[key].closed.is_none() {
            let worker = self.connections[key].worker;
            self.kit_state.note(worker, "the upstream resets");
            self.connections[key].flags |= UPSTREAM_REMOTE_RESET;
            self.close(key, Peer::Local);
        }
    }

    /// The connection is over: closes, `on_done`, `on_log`, `on_delete`.
    pub(crate) fn close(&mut self, key: usize, by: Peer) {
        if self.connections[key].closed.is_some() {
            return;
        }
        self.connections[key].closed = Some(by);
        self.update_info(key, None);
        let connection = &self.connections[key];
        let Some(context) = connection.context else {
            return;
        };
        let worker = connection.worker;
        self.call_guest(worker, |vm| vm.downstream_close(context, by));
        self.connections[key].filter_state = self.filter_states(worker, context);
        self.call_guest(worker, |vm| vm.finish(context));
        self.connections[key].context = None;
    }

    /// Established connections outlive the VM; those that waited for it go on
    /// to the default cluster.
    pub(crate) fn orphan_connections(&mut self, worker: usize) {
        for key in 0..self.connections.len() {
            let connection = &mut self.connections[key];
            if connection.worker != worker || connection.closed.is_some() {
                continue;
            }
            connection.context = None;
            if connection.phase == ConnectionPhase::Held {
                self.dial(key);
            }
            self.resume(key, Direction::Downstream);
            self.resume(key, Direction::Upstream);
        }
    }

    fn connection_of(&self, worker: usize, context: ContextId) -> Option<usize> {
        let wanted = (worker, Some(context));
        (self.connections.iter())
            .rposition(|connection| (connection.worker, connection.context) == wanted)
    }
}

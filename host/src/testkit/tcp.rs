//! TCP connections through the filter, as Envoy's `tcp_proxy` carries them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;

use crate::vm::{Action, ContextId, Direction, End, Peer, TcpInfo, Upstream};

use super::agenda::Event;
use super::cluster::{Behaviour, Cluster, Request};
use super::stage::Stage;

/// One connection.
pub(super) struct Connection {
    pub(super) worker: usize,
    pub(super) source: SocketAddr,
    /// Its context, while it has one.
    pub(super) context: Option<ContextId>,
    /// The context it had at first.
    pub(super) first_context: Option<ContextId>,
    pub(super) phase: Phase,
    default_cluster: String,
    /// Clusters to try, in order.
    candidates: Vec<String>,
    pub(super) attempt: u32,
    outcome: Option<Cluster>,
    pub(super) flags: u64,
    pub(super) transport_failure: Option<String>,
    /// The cluster that serves it.
    pub(super) upstream: Option<String>,
    /// From the client.
    pub(super) down: Flow,
    /// From the upstream.
    pub(super) up: Flow,
    pub(super) closed: Option<Peer>,
    /// Kept when the context goes.
    pub(super) filter_state: BTreeMap<String, String>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// `on_new_connection` said pause.
    Held,
    /// Connecting upstream.
    Dialling,
    /// Bytes flow.
    Open,
}

/// Bytes of one direction.
#[derive(Default)]
pub(super) struct Flow {
    /// Not shown to the guest yet.
    waiting: BytesMut,
    waiting_end: bool,
    /// Shown, and held back by it.
    pub(super) held: BytesMut,
    held_end: bool,
    pub(super) paused: bool,
    /// Let through by it, while there is no upstream yet.
    approved: BytesMut,
    approved_end: bool,
    /// Arrived at the other side.
    pub(super) arrived: Vec<u8>,
    pub(super) arrived_end: bool,
    /// The sender sends no more.
    pub(super) sent_end: bool,
}

impl Connection {
    /// Whether the guest holds it or bytes of it.
    pub(super) fn is_held(&self) -> bool {
        let paused = self.phase == Phase::Held || self.down.paused || self.up.paused;
        self.closed.is_none() && paused
    }

    fn flow(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::Downstream => &mut self.down,
            Direction::Upstream => &mut self.up,
        }
    }
}

impl Stage {
    /// A client connects; which connection it is.
    pub(super) fn connect(
        &mut self,
        worker: usize,
        root: ContextId,
        info: TcpInfo,
        default_cluster: String,
        properties: Vec<(String, Vec<u8>)>,
    ) -> usize {
        let source = info.source;
        self.ground
            .note(worker, format!("client {source} connects"));
        let key = self.connections.len();
        self.connections.push(Connection {
            worker,
            source,
            context: None,
            first_context: None,
            phase: Phase::Held,
            default_cluster,
            candidates: Vec::new(),
            attempt: 0,
            outcome: None,
            flags: 0,
            transport_failure: None,
            upstream: None,
            down: Flow::default(),
            up: Flow::default(),
            closed: None,
            filter_state: BTreeMap::new(),
        });
        let context = self.guest(worker, |vm| vm.open_tcp(root, info));
        self.connections[key].context = context;
        self.connections[key].first_context = context;
        let Some(context) = context else {
            self.dial(key);
            return key;
        };
        for (path, value) in properties {
            (self.ground).set_property(Some((worker, context)), path, value);
        }
        match self.guest(worker, |vm| vm.new_connection(context)) {
            Some(Action::Pause) => {}
            Some(Action::Continue) => self.dial(key),
            // It trapped, and the connection is on its way without a filter.
            None => {}
        }
        key
    }

    /// Bytes come in from the client or from the upstream.
    pub(super) fn send(&mut self, key: usize, direction: Direction, bytes: &[u8], end: End) {
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
    fn feed(&mut self, key: usize, direction: Direction) {
        let connection = &mut self.connections[key];
        let (worker, context) = (connection.worker, connection.context);
        let dialling = connection.phase == Phase::Dialling;
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
                .guest(worker, |vm| match direction {
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
            Action::Continue => self.let_through(key, direction, data, last),
        }
    }

    /// The guest has nothing against these bytes.
    fn let_through(&mut self, key: usize, direction: Direction, data: BytesMut, end: bool) {
        let connection = &mut self.connections[key];
        if direction == Direction::Downstream && connection.phase != Phase::Open {
            connection.down.approved.unsplit(data);
            connection.down.approved_end |= end;
            if connection.phase == Phase::Held {
                self.dial(key);
            }
            return;
        }
        self.arrive(key, direction, &data, end);
    }

    fn arrive(&mut self, key: usize, direction: Direction, data: &[u8], end: bool) {
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
                self.guest(worker, |vm| vm.upstream_close(context, Peer::Unknown));
            }
            let connection = &self.connections[key];
            if connection.down.arrived_end && connection.up.arrived_end {
                // Whose end came last closed it.
                let by = match direction {
                    Direction::Downstream => Peer::Remote,
                    Direction::Upstream => Peer::Local,
                };
                self.close(key, by);
            }
        }
    }

    /// Connects to the cluster that the filter chose, or to the default one.
    fn dial(&mut self, key: usize) {
        let connection = &self.connections[key];
        let (worker, context) = (connection.worker, connection.context);
        let chosen = context.and_then(|context| {
            let vm = self.workers[worker].vm.as_ref()?;
            vm.filter_state(context, CLUSTER).map(str::to_owned)
        });
        let name = chosen.unwrap_or_else(|| connection.default_cluster.clone());
        let candidates = self.leaves(&name, 0);
        let connection = &mut self.connections[key];
        connection.phase = Phase::Dialling;
        if candidates.is_empty() {
            let note =
                format!("there is no cluster {name:?} to connect to; declare it with .cluster(..)");
            connection.flags |= NO_CLUSTER;
            self.ground.note(worker, note);
            self.close(key, Peer::Local);
            return;
        }
        connection.candidates = candidates;
        self.attempt(key);
    }

    /// The clusters that a name stands for.
    fn leaves(&self, name: &str, depth: usize) -> Vec<String> {
        let Some(cluster) = self.clusters.get(name) else {
            return Vec::new();
        };
        match &cluster.behaviour {
            Behaviour::FirstOf(clusters) if depth < 8 => {
                let mut leaves = Vec::new();
                for leaf in clusters
                    .iter()
                    .flat_map(|name| self.leaves(name, depth + 1))
                {
                    if !leaves.contains(&leaf) {
                        leaves.push(leaf);
                    }
                }
                leaves
            }
            _ => vec![name.to_owned()],
        }
    }

    fn attempt(&mut self, key: usize) {
        let now = self.now();
        let connection = &mut self.connections[key];
        let name = connection.candidates.remove(0);
        connection.attempt += 1;
        let attempt = connection.attempt;
        connection.upstream = Some(name.clone());
        let request = Request {
            cluster: name.clone(),
            method: "CONNECT".to_owned(),
            at: now,
            ..Request::default()
        };
        let outcome = (self.clusters.get(&name)).map(|cluster| cluster.settle(&request));
        let takes = match outcome.as_ref().map(|outcome| &outcome.behaviour) {
            None | Some(Behaviour::Refuses) => Duration::ZERO,
            Some(Behaviour::Hangs) => CONNECT_TIMEOUT,
            Some(_) => {
                let delay = outcome.as_ref().map(|outcome| outcome.delay);
                delay.unwrap_or_default().min(CONNECT_TIMEOUT)
            }
        };
        self.connections[key].outcome = outcome;
        let event = Event::Connected {
            connection: key,
            attempt,
        };
        if takes.is_zero() {
            self.connect_attempt_ends(key, attempt);
        } else {
            self.agenda.put(now + takes, event);
        }
    }

    pub(super) fn connect_attempt_ends(&mut self, key: usize, attempt: u32) {
        let connection = &mut self.connections[key];
        let current = connection.phase == Phase::Dialling && connection.attempt == attempt;
        if connection.closed.is_some() || !current {
            return;
        }
        let name = connection.upstream.clone().unwrap_or_default();
        let cluster = connection.outcome.clone();
        let failure = match cluster.as_ref().map(|cluster| &cluster.behaviour) {
            None | Some(Behaviour::Refuses) => Some(Some(CONNECTION_REFUSED)),
            Some(Behaviour::Hangs) => Some(None),
            Some(_) => {
                let delay = cluster.as_ref().map(|cluster| cluster.delay);
                (delay.unwrap_or_default() >= CONNECT_TIMEOUT).then_some(None)
            }
        };
        let worker = connection.worker;
        if let Some(reason) = failure {
            connection.flags |= CONNECT_FAILURE;
            if connection.transport_failure.is_none() {
                connection.transport_failure = reason.map(str::to_owned);
            }
            connection.upstream = None;
            let last = connection.candidates.is_empty();
            if last {
                connection.flags |= RETRIES_EXCEEDED;
            }
            let why = reason.unwrap_or("connect timeout");
            self.ground
                .note(worker, format!("cluster {name} cannot be reached: {why}"));
            self.tell_info(key, None);
            if last {
                self.close(key, Peer::Local);
            } else {
                self.attempt(key);
            }
            return;
        }
        connection.phase = Phase::Open;
        let data = std::mem::take(&mut connection.down.approved);
        let end = std::mem::take(&mut connection.down.approved_end);
        self.ground.note(worker, format!("connected to {name}"));
        if let Some(cluster) = cluster {
            let upstream = Upstream {
                cluster: name.as_str().into(),
                metadata: cluster.metadata.clone(),
                address: self.address_of(&name, &cluster),
                local_address: self.local_address(key),
            };
            self.tell_info(key, Some(upstream));
        }
        if !data.is_empty() || end {
            self.arrive(key, Direction::Downstream, &data, end);
        }
        self.feed(key, Direction::Downstream);
        self.feed(key, Direction::Upstream);
    }

    /// Lets the guest's properties know how the connection stands.
    fn tell_info(&mut self, key: usize, upstream: Option<Upstream>) {
        let connection = &self.connections[key];
        let Some(context) = connection.context else {
            return;
        };
        let vm = self.workers[connection.worker].vm.as_mut();
        let Some(info) = vm.and_then(|vm| vm.tcp_mut(context)) else {
            return;
        };
        info.attempts = connection.attempt;
        info.response_flags = connection.flags;
        info.transport_failure = connection.transport_failure.clone();
        if upstream.is_some() {
            info.upstream = upstream;
        }
    }

    pub(super) fn continue_downstream(&mut self, worker: usize, context: ContextId) {
        let Some(key) = self.connection_of(worker, context) else {
            return;
        };
        if self.connections[key].phase == Phase::Held && !self.connections[key].down.paused {
            self.dial(key);
        }
        self.resume(key, Direction::Downstream);
    }

    pub(super) fn continue_upstream(&mut self, worker: usize, context: ContextId) {
        if let Some(key) = self.connection_of(worker, context) {
            self.resume(key, Direction::Upstream);
        }
    }

    /// Lets held bytes through without asking again.
    fn resume(&mut self, key: usize, direction: Direction) {
        let flow = self.connections[key].flow(direction);
        if std::mem::take(&mut flow.paused) {
            let data = std::mem::take(&mut flow.held);
            let end = std::mem::take(&mut flow.held_end);
            self.let_through(key, direction, data, end);
        }
    }

    pub(super) fn close_connection(&mut self, worker: usize, context: ContextId) {
        if let Some(key) = self.connection_of(worker, context) {
            self.close(key, Peer::Local);
        }
    }

    /// Nothing to do: the VM no longer wants this connection's bytes.
    pub(super) fn skip_data(&mut self, _worker: usize, _context: ContextId) {}

    pub(super) fn upstream_resets(&mut self, key: usize) {
        if self.connections[key].closed.is_none() {
            let worker = self.connections[key].worker;
            self.ground.note(worker, "the upstream resets");
            self.connections[key].flags |= UPSTREAM_RESET;
            self.close(key, Peer::Local);
        }
    }

    /// The connection is over: closes, `on_done`, `on_log`, `on_delete`.
    pub(super) fn close(&mut self, key: usize, by: Peer) {
        if self.connections[key].closed.is_some() {
            return;
        }
        self.connections[key].closed = Some(by);
        self.tell_info(key, None);
        let connection = &self.connections[key];
        let Some(context) = connection.context else {
            return;
        };
        let worker = connection.worker;
        self.guest(worker, |vm| vm.downstream_close(context, by));
        self.keep_filter_state(key);
        self.guest(worker, |vm| vm.finish(context));
        self.connections[key].context = None;
    }

    fn keep_filter_state(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        let vm = self.workers[connection.worker].vm.as_ref();
        let (Some(vm), Some(context)) = (vm, connection.context) else {
            return;
        };
        for state in self.ground.filter_state_keys() {
            if let Some(value) = vm.filter_state(context, &state) {
                connection.filter_state.insert(state, value.to_owned());
            }
        }
    }

    /// Established connections outlive the VM; those that waited for it go on
    /// to the default cluster.
    pub(super) fn orphan_connections(&mut self, worker: usize) {
        for key in 0..self.connections.len() {
            let connection = &mut self.connections[key];
            if connection.worker != worker || connection.closed.is_some() {
                continue;
            }
            connection.context = None;
            if connection.phase == Phase::Held {
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

/// The filter state that steers `tcp_proxy`.
pub(super) const CLUSTER: &str = "envoy.tcp_proxy.cluster";
/// How long one connect attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const CONNECTION_REFUSED: &str = "delayed connect error: Connection refused";
/// Envoy's response flags.
const UPSTREAM_RESET: u64 = 16;
const CONNECT_FAILURE: u64 = 32;
const RETRIES_EXCEEDED: u64 = 32_768;
const NO_CLUSTER: u64 = 1 << 24;

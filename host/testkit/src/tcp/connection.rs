//! A TCP connection and its state.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::BytesMut;

use proxy_wasm_engine::{ContextId, Direction, Peer};

use crate::cluster::Cluster;

/// One connection.
pub(crate) struct Connection {
    pub(crate) worker: usize,
    pub(crate) source: SocketAddr,
    /// Its context, while it has one.
    pub(crate) context: Option<ContextId>,
    /// The context it had at first.
    pub(crate) first_context: Option<ContextId>,
    pub(crate) phase: ConnectionPhase,
    pub(crate) default_cluster: String,
    /// Clusters to try, in order.
    pub(crate) candidates: Vec<String>,
    pub(crate) attempt: u32,
    pub(crate) outcome: Option<Cluster>,
    pub(crate) flags: u64,
    pub(crate) transport_failure: Option<String>,
    /// The cluster that serves it.
    pub(crate) upstream: Option<String>,
    /// From the client.
    pub(crate) down: ByteFlow,
    /// From the upstream.
    pub(crate) up: ByteFlow,
    pub(crate) closed: Option<Peer>,
    /// Kept when the context goes.
    pub(crate) filter_state: BTreeMap<String, String>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionPhase {
    /// The guest paused in `on_new_connection`.
    Held,
    /// Connecting upstream.
    Dialling,
    /// Bytes flow.
    Open,
}

/// Bytes of one direction.
#[derive(Default)]
pub(crate) struct ByteFlow {
    /// The guest has not seen them yet.
    pub(crate) waiting: BytesMut,
    pub(crate) waiting_end: bool,
    /// Seen by the guest and held back by it.
    pub(crate) held: BytesMut,
    pub(crate) held_end: bool,
    pub(crate) paused: bool,
    /// Let through by the guest, while there is no upstream yet.
    pub(crate) approved: BytesMut,
    pub(crate) approved_end: bool,
    /// Arrived at the other side.
    pub(crate) arrived: Vec<u8>,
    pub(crate) arrived_end: bool,
    /// The sender sends no more.
    pub(crate) sent_end: bool,
}

impl Connection {
    /// Whether the guest holds it or bytes of it.
    pub(crate) fn is_held(&self) -> bool {
        let paused = self.phase == ConnectionPhase::Held || self.down.paused || self.up.paused;
        self.closed.is_none() && paused
    }

    pub(crate) fn flow(&mut self, direction: Direction) -> &mut ByteFlow {
        match direction {
            Direction::Downstream => &mut self.down,
            Direction::Upstream => &mut self.up,
        }
    }
}

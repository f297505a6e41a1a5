//! An HTTP request and its response, as far as they are.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::BytesMut;

use proxy_wasm_engine::{ContextId, End, Headers};

use super::cluster::Cluster;

/// One HTTP request and its response.
pub(super) struct Stream {
    pub(super) worker: usize,
    pub(super) context: Option<ContextId>,
    pub(super) first_context: Option<ContextId>,
    pub(super) cluster: String,
    pub(super) started: Duration,
    pub(super) request: Half,
    pub(super) response: Half,
    /// How the cluster answers, once it is known.
    pub(super) outcome: Option<Cluster>,
    /// Whether the cluster has been asked.
    pub(super) asked: bool,
    /// Whether the test itself answers, piece by piece.
    pub(super) by_hand: bool,
    /// Why the answer came from the proxy itself.
    pub(super) local: Option<String>,
    pub(super) over: Option<StreamEnd>,
    pub(super) filter_state: BTreeMap<String, String>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    Complete,
    Reset,
}

/// Request or response.
#[derive(Default)]
pub(super) struct Half {
    /// Not shown to the guest yet.
    pub(super) queue: VecDeque<Piece>,
    pub(super) paused: Option<PausePoint>,
    pub(super) held: BytesMut,
    /// Whether what is held back ends the message.
    pub(super) held_end: bool,
    /// Nothing more of it passes.
    pub(super) stopped: bool,
    /// Goes past the guest.
    pub(super) bypass: bool,
    /// What came out at the other side.
    pub(super) out: Delivered,
}

/// What came through so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivered {
    pub(super) headers: Option<Headers>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Headers,
    pub(super) complete: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
    Headers(Headers, End),
    Data(Vec<u8>, End),
    Trailers(Headers),
}

/// Where the guest paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PausePoint {
    Headers,
    Body,
    Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HalfKind {
    Request,
    Response,
}

impl Stream {
    /// Whether the guest holds its request or its response.
    pub(super) fn is_held(&self) -> bool {
        let paused = self.request.paused.is_some() && self.local.is_none();
        self.over.is_none() && (paused || self.response.paused.is_some())
    }

    pub(super) fn half(&mut self, half_kind: HalfKind) -> &mut Half {
        match half_kind {
            HalfKind::Request => &mut self.request,
            HalfKind::Response => &mut self.response,
        }
    }
}

//! An HTTP request and its response, and their state.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::BytesMut;

use proxy_wasm_engine::{ContextId, Headers};

use crate::cluster::Cluster;
use crate::http::piece::Piece;

/// One HTTP request and its response.
pub(crate) struct Stream {
    pub(crate) worker: usize,
    pub(crate) context: Option<ContextId>,
    pub(crate) first_context: Option<ContextId>,
    pub(crate) cluster: String,
    pub(crate) started: Duration,
    pub(crate) request: Half,
    pub(crate) response: Half,
    /// How the cluster answers, once it is known.
    pub(crate) outcome: Option<Cluster>,
    /// Whether the cluster has been asked.
    pub(crate) asked: bool,
    /// Whether the test itself answers, piece by piece.
    pub(crate) by_hand: bool,
    /// Why the answer came from the proxy itself.
    pub(crate) local: Option<String>,
    pub(crate) ended: Option<StreamEnd>,
    pub(crate) filter_state: BTreeMap<String, String>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    Complete,
    Reset,
}

/// Request or response.
#[derive(Default)]
pub(crate) struct Half {
    /// The guest has not seen them yet.
    pub(crate) queue: VecDeque<Piece>,
    pub(crate) paused: Option<PausePoint>,
    pub(crate) held: BytesMut,
    /// Whether what is held back ends the message.
    pub(crate) held_end: bool,
    /// Nothing more of it passes.
    pub(crate) stopped: bool,
    /// Bypasses the guest.
    pub(crate) bypass: bool,
    /// What came out at the other side.
    pub(crate) out: Delivered,
}

/// What came through so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivered {
    pub(crate) headers: Option<Headers>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
    pub(crate) complete: bool,
}

/// Where the guest paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PausePoint {
    Headers,
    Body,
    Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HalfKind {
    Request,
    Response,
}

impl Stream {
    /// Whether the guest holds its request or its response.
    pub(crate) fn is_held(&self) -> bool {
        let paused = self.request.paused.is_some() && self.local.is_none();
        self.ended.is_none() && (paused || self.response.paused.is_some())
    }

    pub(crate) fn half(&mut self, half_kind: HalfKind) -> &mut Half {
        match half_kind {
            HalfKind::Request => &mut self.request,
            HalfKind::Response => &mut self.response,
        }
    }
}

//! HTTP streams through the filter, as Envoy carries them.

mod end;
pub(crate) mod exchange;
mod local_reply;
mod piece;
pub(crate) mod request;
mod response;
mod show;
pub(crate) mod stream;

use std::collections::BTreeMap;

use proxy_wasm_engine::{ContextId, End, HttpInfo};

use crate::headers::header;
use crate::simulator::Simulator;
use piece::Piece;
use stream::{Half, HalfKind, PausePoint, Stream, StreamEnd};

impl Simulator {
    /// A request begins; which stream it is. Its pieces follow.
    pub(crate) fn open_stream(
        &mut self,
        worker: usize,
        root: ContextId,
        mut info: HttpInfo,
        cluster: String,
        properties: Vec<(String, Vec<u8>)>,
    ) -> usize {
        info.time = self.kit_state.realtime();
        let key = self.streams.len();
        let note = format!(
            "client {} asks {} {}",
            info.connection.source,
            header(&info.request_headers, ":method").unwrap_or("?"),
            header(&info.request_headers, ":path").unwrap_or("?"),
        );
        self.kit_state.note(worker, note);
        self.streams.push(Stream {
            worker,
            context: None,
            first_context: None,
            cluster,
            started: self.now(),
            request: Half::default(),
            response: Half::default(),
            outcome: None,
            asked: false,
            by_hand: false,
            local: None,
            ended: None,
            filter_state: BTreeMap::new(),
        });
        let context = self.call_guest(worker, |vm| vm.open_http(root, info));
        self.streams[key].context = context;
        self.streams[key].first_context = context;
        match context {
            Some(context) => {
                for (path, value) in properties {
                    (self.kit_state).set_property(Some((worker, context)), path, value);
                }
            }
            None => self.fail_stream(key),
        }
        key
    }

    /// The client sends a piece of its request.
    pub(crate) fn client_sends(&mut self, key: usize, piece: Piece) {
        self.streams[key].request.queue.push_back(piece);
        self.pump(key, HalfKind::Request);
    }

    /// Shows pieces to the guest and passes on what it lets through.
    pub(crate) fn pump(&mut self, key: usize, half_kind: HalfKind) {
        let body_while_paused = self.body_while_headers_paused;
        loop {
            let stream = &mut self.streams[key];
            let half = stream.half(half_kind);
            let blocked = match half.paused {
                Some(PausePoint::Headers) => !body_while_paused,
                Some(PausePoint::Trailers) => true,
                Some(PausePoint::Body) | None => false,
            };
            if half.stopped || blocked {
                return;
            }
            let Some(piece) = half.queue.pop_front() else {
                return;
            };
            if stream.ended.is_some() {
                return;
            }
            let bypass = stream.half(half_kind).bypass;
            match stream.context.filter(|_| !bypass) {
                Some(context) => self.show(key, half_kind, context, piece),
                None => self.pass_unseen(key, half_kind, piece),
            }
            // Deferred actions happen before the next callback.
            self.carry_out_effects();
        }
    }

    /// What was shown to the guest at this point goes on.
    pub(super) fn release(&mut self, key: usize, half_kind: HalfKind, at: PausePoint) {
        let stream = &mut self.streams[key];
        let context = stream.context;
        let worker = stream.worker;
        let half = stream.half(half_kind);
        half.paused = None;
        let held = std::mem::take(&mut half.held);
        half.out.body.extend_from_slice(&held);
        let info = context
            .and_then(|context| self.workers[worker].vm.as_mut()?.http_mut(context))
            .map(|info| match half_kind {
                HalfKind::Request => (
                    Some(info.request_headers.clone()),
                    info.request_trailers.clone(),
                ),
                HalfKind::Response => (
                    info.response_headers.clone(),
                    info.response_trailers.clone(),
                ),
            });
        let (headers, trailers) = info.unwrap_or_default();
        let half = self.streams[key].half(half_kind);
        // Headers that were held go with whatever follows them.
        if half.out.headers.is_none() {
            half.out.headers = headers;
        }
        if at == PausePoint::Trailers {
            half.out.trailers = trailers.unwrap_or_default();
        }
        let complete = std::mem::take(&mut half.held_end);
        half.out.complete |= complete;
        if complete {
            self.complete(key, half_kind);
        }
    }

    /// No guest looks at this piece.
    fn pass_unseen(&mut self, key: usize, half_kind: HalfKind, piece: Piece) {
        let out = &mut self.streams[key].half(half_kind).out;
        match piece {
            Piece::Headers(headers, end) => {
                out.headers = Some(headers);
                out.complete = end == End::Last;
            }
            Piece::Data(data, end) => {
                out.body.extend_from_slice(&data);
                out.complete = end == End::Last;
            }
            Piece::Trailers(trailers) => {
                out.trailers = trailers;
                out.complete = true;
            }
        }
        if out.complete {
            self.complete(key, half_kind);
        }
    }

    fn complete(&mut self, key: usize, half_kind: HalfKind) {
        match half_kind {
            HalfKind::Request => self.ask_upstream(key),
            HalfKind::Response => self.finish_stream(key, StreamEnd::Complete),
        }
    }

    pub(crate) fn continue_request(&mut self, worker: usize, context: ContextId) {
        self.resume_half(worker, context, HalfKind::Request);
    }

    pub(crate) fn continue_response(&mut self, worker: usize, context: ContextId) {
        self.resume_half(worker, context, HalfKind::Response);
    }

    fn resume_half(&mut self, worker: usize, context: ContextId, half_kind: HalfKind) {
        let Some(key) = self.stream_of(worker, context) else {
            return;
        };
        let half = self.streams[key].half(half_kind);
        if half.stopped {
            return;
        }
        if let Some(at) = half.paused {
            self.release(key, half_kind, at);
            self.pump(key, half_kind);
        }
    }

    pub(crate) fn stream_of(&self, worker: usize, context: ContextId) -> Option<usize> {
        let wanted = (worker, Some(context));
        (self.streams.iter()).rposition(|stream| (stream.worker, stream.context) == wanted)
    }
}

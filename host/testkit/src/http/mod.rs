//! HTTP streams through the filter, as Envoy carries them.

pub(crate) mod exchange;
pub(crate) mod request;
mod response;
pub(crate) mod stream;

use std::collections::BTreeMap;

use proxy_wasm_engine::{Action, ContextId, End, HttpInfo};

use crate::calls::made_up;
use crate::headers::header;
use crate::http::stream::{Half, HalfKind, PausePoint, Piece, Stream, StreamEnd};
use crate::simulator::Simulator;

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
            over: None,
            filter_state: BTreeMap::new(),
        });
        let context = self.guest(worker, |vm| vm.open_http(root, info));
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
            if stream.over.is_some() {
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

    fn show(&mut self, key: usize, half_kind: HalfKind, context: ContextId, piece: Piece) {
        let worker = self.streams[key].worker;
        match piece {
            Piece::Headers(headers, end) => {
                let action = self.guest(worker, |vm| {
                    if let Some(info) = vm.http_mut(context) {
                        match half_kind {
                            HalfKind::Request => info.request_headers = headers,
                            HalfKind::Response => info.response_headers = Some(headers),
                        }
                    }
                    match half_kind {
                        HalfKind::Request => vm.request_headers(context, end),
                        HalfKind::Response => vm.response_headers(context, end),
                    }
                });
                let half = self.streams[key].half(half_kind);
                half.held_end = end == End::Last;
                match action {
                    Some(Action::Pause) => half.paused = Some(PausePoint::Headers),
                    Some(Action::Continue) => self.release(key, half_kind, PausePoint::Headers),
                    None => {}
                }
            }
            Piece::Data(bytes, end) => {
                let half = self.streams[key].half(half_kind);
                let mut held = std::mem::take(&mut half.held);
                held.extend_from_slice(&bytes);
                let added = bytes.len() as u64;
                let action = self.guest(worker, |vm| {
                    if let Some(info) = vm.http_mut(context) {
                        match half_kind {
                            HalfKind::Request => info.request_size += added,
                            HalfKind::Response => info.response_size += added,
                        }
                    }
                    match half_kind {
                        HalfKind::Request => vm.request_body(context, &mut held, end),
                        HalfKind::Response => vm.response_body(context, &mut held, end),
                    }
                });
                let half = self.streams[key].half(half_kind);
                half.held = held;
                half.held_end = end == End::Last;
                match action {
                    Some(Action::Pause) => half.paused = Some(PausePoint::Body),
                    Some(Action::Continue) => self.release(key, half_kind, PausePoint::Body),
                    None => {}
                }
            }
            Piece::Trailers(trailers) => {
                let half = self.streams[key].half(half_kind);
                let mut held = std::mem::take(&mut half.held);
                let action = self.guest(worker, |vm| {
                    if let Some(info) = vm.http_mut(context) {
                        match half_kind {
                            HalfKind::Request => info.request_trailers = Some(trailers),
                            HalfKind::Response => info.response_trailers = Some(trailers),
                        }
                    }
                    match half_kind {
                        HalfKind::Request => vm.request_trailers(context, &mut held),
                        HalfKind::Response => vm.response_trailers(context, &mut held),
                    }
                });
                let half = self.streams[key].half(half_kind);
                half.held = held;
                half.held_end = true;
                match action {
                    Some(Action::Pause) => half.paused = Some(PausePoint::Trailers),
                    Some(Action::Continue) => self.release(key, half_kind, PausePoint::Trailers),
                    None => {}
                }
            }
        }
    }

    /// What was shown to the guest at this point goes on.
    fn release(&mut self, key: usize, half_kind: HalfKind, at: PausePoint) {
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

    pub(crate) fn reset_http(&mut self, worker: usize, context: ContextId) {
        if let Some(key) = self.stream_of(worker, context) {
            self.finish_stream(key, StreamEnd::Reset);
        }
    }

    /// The stream is over: `on_log`, `on_done`, `on_delete`.
    pub(crate) fn finish_stream(&mut self, key: usize, over: StreamEnd) {
        let stream = &mut self.streams[key];
        if stream.over.is_some() {
            return;
        }
        stream.over = Some(over);
        stream.request.stopped = true;
        let Some(context) = stream.context else {
            return;
        };
        let worker = stream.worker;
        let duration = self.kit_state.now() - stream.started;
        if let Some(vm) = self.workers[worker].vm.as_mut() {
            if let Some(info) = vm.http_mut(context) {
                info.duration = Some(duration);
            }
            for state in self.kit_state.filter_state_keys() {
                if let Some(value) = vm.filter_state(context, &state) {
                    let value = value.to_owned();
                    self.streams[key].filter_state.insert(state, value);
                }
            }
        }
        self.guest(worker, |vm| vm.finish(context));
        self.streams[key].context = None;
    }

    /// The filter is dead: the request fails.
    pub(crate) fn fail_stream(&mut self, key: usize) {
        let stream = &mut self.streams[key];
        stream.context = None;
        if stream.over.is_none() {
            let reply = made_up(503, "");
            self.local_reply(
                key,
                reply.headers,
                reply.body,
                "wasm_fail_stream".to_owned(),
            );
        }
    }

    pub(crate) fn orphan_streams(&mut self, worker: usize) {
        for key in 0..self.streams.len() {
            let stream = &self.streams[key];
            if stream.worker == worker && stream.over.is_none() && stream.first_context.is_some() {
                self.fail_stream(key);
            }
        }
    }

    pub(crate) fn stream_of(&self, worker: usize, context: ContextId) -> Option<usize> {
        let wanted = (worker, Some(context));
        (self.streams.iter()).rposition(|stream| (stream.worker, stream.context) == wanted)
    }
}

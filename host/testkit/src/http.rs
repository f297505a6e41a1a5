//! HTTP streams through the filter, as Envoy carries them.

use std::collections::BTreeMap;

use proxy_wasm_engine::{Action, ContextId, End, HttpInfo};

use super::call::made_up;
use super::simulator::Simulator;
use super::stream::{At, Half, Over, Piece, Stream, Which};

impl Simulator {
    /// A request begins; which stream it is. Its pieces follow.
    pub(super) fn open_stream(
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
            super::cluster::header(&info.request_headers, ":method").unwrap_or("?"),
            super::cluster::header(&info.request_headers, ":path").unwrap_or("?"),
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
    pub(super) fn client_sends(&mut self, key: usize, piece: Piece) {
        self.streams[key].request.queue.push_back(piece);
        self.pump(key, Which::Request);
    }

    /// Shows pieces to the guest and passes on what it lets through.
    pub(super) fn pump(&mut self, key: usize, which: Which) {
        let body_while_paused = self.body_while_headers_paused;
        loop {
            let stream = &mut self.streams[key];
            let half = stream.half(which);
            let blocked = match half.paused {
                Some(At::Headers) => !body_while_paused,
                Some(At::Trailers) => true,
                Some(At::Body) | None => false,
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
            let bypass = stream.half(which).bypass;
            match stream.context.filter(|_| !bypass) {
                Some(context) => self.show(key, which, context, piece),
                None => self.pass_unseen(key, which, piece),
            }
            // Deferred actions happen before the next callback.
            self.carry_out_effects();
        }
    }

    fn show(&mut self, key: usize, which: Which, context: ContextId, piece: Piece) {
        let worker = self.streams[key].worker;
        match piece {
            Piece::Headers(headers, end) => {
                let action = self.guest(worker, |vm| {
                    if let Some(info) = vm.http_mut(context) {
                        match which {
                            Which::Request => info.request_headers = headers,
                            Which::Response => info.response_headers = Some(headers),
                        }
                    }
                    match which {
                        Which::Request => vm.request_headers(context, end),
                        Which::Response => vm.response_headers(context, end),
                    }
                });
                let half = self.streams[key].half(which);
                half.held_end = end == End::Last;
                match action {
                    Some(Action::Pause) => half.paused = Some(At::Headers),
                    Some(Action::Continue) => self.release(key, which, At::Headers),
                    None => {}
                }
            }
            Piece::Data(bytes, end) => {
                let half = self.streams[key].half(which);
                let mut held = std::mem::take(&mut half.held);
                held.extend_from_slice(&bytes);
                let added = bytes.len() as u64;
                let action = self.guest(worker, |vm| {
                    if let Some(info) = vm.http_mut(context) {
                        match which {
                            Which::Request => info.request_size += added,
                            Which::Response => info.response_size += added,
                        }
                    }
                    match which {
                        Which::Request => vm.request_body(context, &mut held, end),
                        Which::Response => vm.response_body(context, &mut held, end),
                    }
                });
                let half = self.streams[key].half(which);
                half.held = held;
                half.held_end = end == End::Last;
                match action {
                    Some(Action::Pause) => half.paused = Some(At::Body),
                    Some(Action::Continue) => self.release(key, which, At::Body),
                    None => {}
                }
            }
            Piece::Trailers(trailers) => {
                let half = self.streams[key].half(which);
                let mut held = std::mem::take(&mut half.held);
                let action = self.guest(worker, |vm| {
                    if let Some(info) = vm.http_mut(context) {
                        match which {
                            Which::Request => info.request_trailers = Some(trailers),
                            Which::Response => info.response_trailers = Some(trailers),
                        }
                    }
                    match which {
                        Which::Request => vm.request_trailers(context, &mut held),
                        Which::Response => vm.response_trailers(context, &mut held),
                    }
                });
                let half = self.streams[key].half(which);
                half.held = held;
                half.held_end = true;
                match action {
                    Some(Action::Pause) => half.paused = Some(At::Trailers),
                    Some(Action::Continue) => self.release(key, which, At::Trailers),
                    None => {}
                }
            }
        }
    }

    /// What was shown to the guest at this point goes on.
    fn release(&mut self, key: usize, which: Which, at: At) {
        let stream = &mut self.streams[key];
        let context = stream.context;
        let worker = stream.worker;
        let half = stream.half(which);
        half.paused = None;
        let held = std::mem::take(&mut half.held);
        half.out.body.extend_from_slice(&held);
        let info = context
            .and_then(|context| self.workers[worker].vm.as_mut()?.http_mut(context))
            .map(|info| match which {
                Which::Request => (
                    Some(info.request_headers.clone()),
                    info.request_trailers.clone(),
                ),
                Which::Response => (
                    info.response_headers.clone(),
                    info.response_trailers.clone(),
                ),
            });
        let (headers, trailers) = info.unwrap_or_default();
        let half = self.streams[key].half(which);
        // Headers that were held go with whatever follows them.
        if half.out.headers.is_none() {
            half.out.headers = headers;
        }
        if at == At::Trailers {
            half.out.trailers = trailers.unwrap_or_default();
        }
        let complete = std::mem::take(&mut half.held_end);
        half.out.complete |= complete;
        if complete {
            self.complete(key, which);
        }
    }

    /// No guest looks at this piece.
    fn pass_unseen(&mut self, key: usize, which: Which, piece: Piece) {
        let out = &mut self.streams[key].half(which).out;
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
            self.complete(key, which);
        }
    }

    fn complete(&mut self, key: usize, which: Which) {
        match which {
            Which::Request => self.ask_upstream(key),
            Which::Response => self.finish_stream(key, Over::Complete),
        }
    }

    pub(super) fn continue_request(&mut self, worker: usize, context: ContextId) {
        self.resume_half(worker, context, Which::Request);
    }

    pub(super) fn continue_response(&mut self, worker: usize, context: ContextId) {
        self.resume_half(worker, context, Which::Response);
    }

    fn resume_half(&mut self, worker: usize, context: ContextId, which: Which) {
        let Some(key) = self.stream_of(worker, context) else {
            return;
        };
        let half = self.streams[key].half(which);
        if half.stopped {
            return;
        }
        if let Some(at) = half.paused {
            self.release(key, which, at);
            self.pump(key, which);
        }
    }

    pub(super) fn reset_http(&mut self, worker: usize, context: ContextId) {
        if let Some(key) = self.stream_of(worker, context) {
            self.finish_stream(key, Over::Reset);
        }
    }

    /// The stream is over: `on_log`, `on_done`, `on_delete`.
    pub(super) fn finish_stream(&mut self, key: usize, over: Over) {
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
    pub(super) fn fail_stream(&mut self, key: usize) {
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

    pub(super) fn orphan_streams(&mut self, worker: usize) {
        for key in 0..self.streams.len() {
            let stream = &self.streams[key];
            if stream.worker == worker && stream.over.is_none() && stream.first_context.is_some() {
                self.fail_stream(key);
            }
        }
    }

    pub(super) fn stream_of(&self, worker: usize, context: ContextId) -> Option<usize> {
        let wanted = (worker, Some(context));
        (self.streams.iter()).rposition(|stream| (stream.worker, stream.context) == wanted)
    }
}

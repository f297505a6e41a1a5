//! HTTP streams through the filter, as Envoy carries them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::BytesMut;

use crate::vm::{Action, ContextId, End, Headers, HttpInfo, Upstream};

use super::agenda::Event;
use super::call::{REFUSED, RESET, SERVICE_TIME, TIMED_OUT, made_up};
use super::cluster::{Behaviour, Cluster, Request};
use super::stage::Stage;

/// One HTTP request and its response.
pub(super) struct Stream {
    pub(super) worker: usize,
    pub(super) context: Option<ContextId>,
    pub(super) first_context: Option<ContextId>,
    pub(super) cluster: String,
    started: Duration,
    pub(super) request: Half,
    pub(super) response: Half,
    /// How the cluster answers, once it is known.
    outcome: Option<Cluster>,
    /// Whether the cluster has been asked.
    asked: bool,
    /// Whether the test itself answers, piece by piece.
    by_hand: bool,
    /// Why the answer came from the proxy itself.
    pub(super) local: Option<String>,
    pub(super) over: Option<Over>,
    pub(super) filter_state: BTreeMap<String, String>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Complete,
    Reset,
}

/// Request or response.
#[derive(Default)]
pub(super) struct Half {
    /// Not shown to the guest yet.
    queue: VecDeque<Piece>,
    pub(super) paused: Option<At>,
    held: BytesMut,
    /// Whether what is held back ends the message.
    held_end: bool,
    /// Nothing more of it passes.
    stopped: bool,
    /// Goes past the guest.
    bypass: bool,
    /// What came out at the other side.
    pub(super) out: Message,
}

/// What came through so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
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
pub(super) enum At {
    Headers,
    Body,
    Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Request,
    Response,
}

impl Stream {
    /// Whether the guest holds its request or its response.
    pub(super) fn is_held(&self) -> bool {
        let paused = self.request.paused.is_some() && self.local.is_none();
        self.over.is_none() && (paused || self.response.paused.is_some())
    }

    fn half(&mut self, which: Which) -> &mut Half {
        match which {
            Which::Request => &mut self.request,
            Which::Response => &mut self.response,
        }
    }
}

impl Stage {
    /// A request begins; which stream it is. Its pieces follow.
    pub(super) fn open_stream(
        &mut self,
        worker: usize,
        root: ContextId,
        mut info: HttpInfo,
        cluster: String,
        properties: Vec<(String, Vec<u8>)>,
    ) -> usize {
        info.time = self.ground.realtime();
        let key = self.streams.len();
        let note = format!(
            "client {} asks {} {}",
            info.connection.source,
            super::cluster::header(&info.request_headers, ":method").unwrap_or("?"),
            super::cluster::header(&info.request_headers, ":path").unwrap_or("?"),
        );
        self.ground.note(worker, note);
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
                    (self.ground).set_property(Some((worker, context)), path, value);
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
    fn pump(&mut self, key: usize, which: Which) {
        loop {
            let stream = &mut self.streams[key];
            let half = stream.half(which);
            let blocked = matches!(half.paused, Some(At::Headers | At::Trailers));
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
        match at {
            At::Headers => half.out.headers = headers,
            At::Body => {}
            At::Trailers => half.out.trailers = trailers.unwrap_or_default(),
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

    /// The request as the upstream got it so far.
    pub(super) fn upstream_request(&self, key: usize) -> Option<Request> {
        let stream = &self.streams[key];
        let out = &stream.request.out;
        let headers = out.headers.clone()?;
        let mut request = Request::new(&stream.cluster, stream.started, headers);
        request.body = out.body.clone();
        request.trailers = out.trailers.clone();
        Some(request)
    }

    /// The whole request is there; the cluster decides how it answers.
    fn ask_upstream(&mut self, key: usize) {
        if std::mem::replace(&mut self.streams[key].asked, true) {
            return;
        }
        let Some(request) = self.upstream_request(key) else {
            return;
        };
        let worker = self.streams[key].worker;
        let name = request.cluster.clone();
        let outcome = (self.clusters.get(&name)).map(|cluster| cluster.settle(&request));
        let Some(outcome) = outcome.map(|outcome| self.lead(outcome, &request)) else {
            self.ground
                .note(worker, format!("there is no cluster {name:?}"));
            self.proxy_reply(key, 503, "", "cluster_not_found");
            return;
        };
        let note = format!("the request goes to {name}, which {outcome:?}");
        self.ground.note(worker, note);
        self.requests.push(request);
        let now = self.now();
        (self.agenda).put(
            now + RESPONSE_TIMEOUT,
            Event::ResponseTimeout { exchange: key },
        );
        if !matches!(outcome.behaviour, Behaviour::Hangs) {
            let event = Event::Response { exchange: key };
            self.agenda.put(now + outcome.delay, event);
        }
        self.streams[key].outcome = Some(outcome);
    }

    /// The first cluster of an aggregate.
    fn lead(&self, mut cluster: Cluster, request: &Request) -> Cluster {
        for _ in 0..8 {
            let Behaviour::FirstOf(names) = &cluster.behaviour else {
                break;
            };
            let first = names.first().and_then(|name| self.clusters.get(name));
            let next = first.map(|first| first.settle(request));
            cluster = next.unwrap_or_else(super::cluster::refuses);
        }
        cluster
    }

    /// The upstream sends a piece of its response, as the test has it.
    pub(super) fn upstream_sends(&mut self, key: usize, piece: Piece) {
        let stream = &mut self.streams[key];
        if stream.over.is_none() && stream.local.is_none() {
            stream.asked = true;
            stream.outcome = None;
            stream.by_hand = true;
            stream.response.queue.push_back(piece);
            self.pump(key, Which::Response);
        }
    }

    /// The upstream goes away in the midst of it.
    pub(super) fn upstream_leaves(&mut self, key: usize) {
        let stream = &mut self.streams[key];
        if stream.over.is_some() || stream.local.is_some() {
            return;
        }
        stream.by_hand = true;
        self.flag(key, UPSTREAM_TERMINATED);
        if self.streams[key].response.out.headers.is_some() {
            self.finish_stream(key, Over::Reset);
        } else {
            self.proxy_reply(key, 503, RESET, "upstream_reset_before_response_started");
        }
    }

    /// Lets the guest's properties know where the request went.
    fn tell_upstream(&mut self, key: usize, name: &str, cluster: &Cluster) {
        let upstream = Upstream {
            cluster: name.into(),
            metadata: cluster.metadata.clone(),
            address: self.address_of(name, cluster),
            local_address: self.local_address(key),
        };
        if let Some(info) = self.info_mut(key) {
            info.connection.upstream = Some(upstream);
            info.connection.attempts = 1;
        }
    }

    /// Sets one of Envoy's response flags.
    fn flag(&mut self, key: usize, flag: u64) {
        if let Some(info) = self.info_mut(key) {
            info.connection.response_flags |= flag;
        }
    }

    fn info_mut(&mut self, key: usize) -> Option<&mut HttpInfo> {
        let stream = &self.streams[key];
        let (worker, context) = (stream.worker, stream.context?);
        self.workers[worker].vm.as_mut()?.http_mut(context)
    }

    /// The test answers in place of a cluster that hangs.
    pub(super) fn respond_with(&mut self, key: usize, cluster: Cluster) {
        let at = self.now() + cluster.delay;
        self.streams[key].asked = true;
        self.streams[key].outcome = Some(cluster);
        self.agenda.put(at, Event::Response { exchange: key });
    }

    /// The upstream's answer arrives.
    pub(super) fn respond(&mut self, key: usize) {
        let stream = &mut self.streams[key];
        let begun = stream.by_hand || stream.local.is_some();
        if stream.over.is_some() || begun {
            return;
        }
        let Some(outcome) = stream.outcome.take() else {
            return;
        };
        let name = stream.cluster.clone();
        match &outcome.behaviour {
            Behaviour::Answers(_) => self.tell_upstream(key, &name, &outcome),
            Behaviour::BreaksOff | Behaviour::Resets => {
                self.tell_upstream(key, &name, &outcome);
                self.flag(key, UPSTREAM_TERMINATED);
            }
            _ => self.flag(key, CONNECT_FAILED),
        }
        let stream = &mut self.streams[key];
        match outcome.behaviour {
            Behaviour::Answers(answer) => {
                let mut headers = answer.full_headers();
                let served_in = outcome.delay.as_millis().to_string();
                headers.push((SERVICE_TIME.to_owned(), served_in.into_bytes()));
                let queue = &mut stream.response.queue;
                let chunks: Vec<&[u8]> = match outcome.chunk {
                    Some(size) => answer.body.chunks(size).collect(),
                    None if answer.body.is_empty() => Vec::new(),
                    None => vec![&answer.body],
                };
                let trailers = answer.trailers;
                let empty = chunks.is_empty() && trailers.is_empty();
                let end = if empty { End::Last } else { End::More };
                queue.push_back(Piece::Headers(headers, end));
                for chunk in chunks {
                    queue.push_back(Piece::Data(chunk.to_vec(), End::More));
                }
                // HTTP/1 learns that a body is over after its last bytes.
                if !trailers.is_empty() {
                    queue.push_back(Piece::Trailers(trailers));
                } else if !empty {
                    queue.push_back(Piece::Data(Vec::new(), End::Last));
                }
                self.pump(key, Which::Response);
            }
            Behaviour::BreaksOff => {
                let headers = vec![(":status".to_owned(), b"200".to_vec())];
                (stream.response.queue).push_back(Piece::Headers(headers, End::More));
                self.pump(key, Which::Response);
                self.finish_stream(key, Over::Reset);
            }
            Behaviour::Resets => {
                self.proxy_reply(key, 503, RESET, "upstream_reset_before_response_started");
            }
            _ => self.proxy_reply(key, 503, REFUSED, "upstream_reset_before_response_started"),
        }
    }

    pub(super) fn response_timeout(&mut self, key: usize) {
        let stream = &self.streams[key];
        if stream.over.is_none()
            && !stream.by_hand
            && stream.local.is_none()
            && stream.response.out.headers.is_none()
        {
            self.flag(key, TIMED_OUT_FLAG);
            self.proxy_reply(key, 504, TIMED_OUT, "response_timeout");
        }
    }

    /// An answer that the proxy itself makes up; the guest sees it as a response.
    fn proxy_reply(&mut self, key: usize, status: u16, body: &str, details: &str) {
        let reply = made_up(status, body);
        self.local_reply(key, reply.headers, reply.body, details.to_owned());
    }

    pub(super) fn local_response(
        &mut self,
        worker: usize,
        context: ContextId,
        status: u32,
        headers: Headers,
        body: Vec<u8>,
        details: String,
    ) {
        let Some(key) = self.stream_of(worker, context) else {
            return;
        };
        let mut all = vec![(":status".to_owned(), status.to_string().into_bytes())];
        all.extend(headers);
        if !body.is_empty() {
            let has = |name| super::cluster::header(&all, name).is_some();
            let (length, kind) = (has("content-length"), has("content-type"));
            if !length {
                let length = body.len().to_string().into_bytes();
                all.push(("content-length".to_owned(), length));
            }
            if !kind {
                all.push(("content-type".to_owned(), b"text/plain".to_vec()));
            }
        }
        self.local_reply(key, all, body, details);
    }

    fn local_reply(&mut self, key: usize, headers: Headers, body: Vec<u8>, details: String) {
        let stream = &mut self.streams[key];
        if stream.over.is_some() || stream.local.is_some() {
            return;
        }
        if stream.response.out.headers.is_some() {
            // The client has a response already; it cannot be taken back.
            self.finish_stream(key, Over::Reset);
            return;
        }
        stream.local = Some(details.clone());
        stream.request.stopped = true;
        // In the midst of a response Envoy answers past the filters.
        let seen = stream.response.paused.is_some() || stream.response.held_end;
        stream.response = Half {
            bypass: seen,
            ..Half::default()
        };
        let end = if body.is_empty() {
            End::Last
        } else {
            End::More
        };
        let queue = &mut stream.response.queue;
        queue.push_back(Piece::Headers(headers, end));
        if !body.is_empty() {
            queue.push_back(Piece::Data(body, End::Last));
        }
        if let Some(info) = self.info_mut(key) {
            info.code_details = Some(details);
        }
        self.pump(key, Which::Response);
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
        let duration = self.ground.now() - stream.started;
        if let Some(vm) = self.workers[worker].vm.as_mut() {
            if let Some(info) = vm.http_mut(context) {
                info.duration = Some(duration);
            }
            for state in self.ground.filter_state_keys() {
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
    fn fail_stream(&mut self, key: usize) {
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

    fn stream_of(&self, worker: usize, context: ContextId) -> Option<usize> {
        let wanted = (worker, Some(context));
        (self.streams.iter()).rposition(|stream| (stream.worker, stream.context) == wanted)
    }
}

/// Envoy's response flags.
const TIMED_OUT_FLAG: u64 = 4;
const CONNECT_FAILED: u64 = 32;
const UPSTREAM_TERMINATED: u64 = 64;
/// Envoy's default timeout of a route.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

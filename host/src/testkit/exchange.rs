//! A client's end of an HTTP request.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::vm::{ContextId, End, Headers, HttpInfo, TcpInfo};

use super::client::{check_worker, new_info, parse, root};
use super::cluster::{Cluster, Request, header, status};
use super::http::{Over, Piece};
use super::stage::Stage;

/// An HTTP request to be; made by [`TestKit::http`](super::TestKit::http).
/// `GET / HTTP/1.1` to `example.com`, unless it says otherwise.
pub struct HttpRequest {
    stage: Rc<RefCell<Stage>>,
    worker: usize,
    root_id: Option<String>,
    connection: TcpInfo,
    cluster: String,
    headers: Headers,
    protocol: Option<Arc<str>>,
    properties: Vec<(String, Vec<u8>)>,
}

impl HttpRequest {
    pub(super) fn new(stage: Rc<RefCell<Stage>>, cluster: &str) -> HttpRequest {
        let pair = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        HttpRequest {
            worker: 0,
            root_id: None,
            connection: new_info(&stage),
            cluster: cluster.to_owned(),
            headers: vec![
                pair(":authority", "example.com"),
                pair(":path", "/"),
                pair(":method", "GET"),
                pair(":scheme", "http"),
            ],
            protocol: None,
            properties: Vec::new(),
            stage,
        }
    }

    /// `GET` of this path.
    pub fn get(self, path: &str) -> HttpRequest {
        self.method("GET").path(path)
    }

    /// `POST` to this path.
    pub fn post(self, path: &str) -> HttpRequest {
        self.method("POST").path(path)
    }

    /// `:method`
    pub fn method(self, method: &str) -> HttpRequest {
        self.set(":method", method)
    }

    /// `:path`
    pub fn path(self, path: &str) -> HttpRequest {
        self.set(":path", path)
    }

    /// `:authority`
    pub fn authority(self, authority: &str) -> HttpRequest {
        self.set(":authority", authority)
    }

    /// `:scheme`
    pub fn scheme(self, scheme: &str) -> HttpRequest {
        self.set(":scheme", scheme)
    }

    /// Adds these headers.
    pub fn headers(self, headers: &[(&str, &str)]) -> HttpRequest {
        let each = headers.iter();
        each.fold(self, |request, (name, value)| request.header(name, value))
    }

    /// Adds a header; names become lower case, and may repeat.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> HttpRequest {
        let pair = (name.to_ascii_lowercase(), value.as_ref().to_vec());
        self.headers.push(pair);
        self
    }

    /// Property `request.protocol`; `HTTP/1.1` if not said.
    pub fn protocol(mut self, protocol: &str) -> HttpRequest {
        self.protocol = Some(protocol.into());
        self
    }

    /// The client's address; made up if not said.
    ///
    /// # Panics
    /// When this is not an IP address with a port.
    pub fn from(mut self, address: &str) -> HttpRequest {
        self.connection.source = parse("from", address);
        self
    }

    /// The address it came to; 10.0.0.1:443 if not said.
    ///
    /// # Panics
    /// When this is not an IP address with a port.
    pub fn to(mut self, address: &str) -> HttpRequest {
        self.connection.destination = parse("to", address);
        self
    }

    /// Which worker takes it, counted from 0; the first if not said.
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn on_worker(mut self, worker: usize) -> HttpRequest {
        check_worker(&self.stage, worker);
        self.worker = worker;
        self
    }

    /// Which plugin filters it, by root id; the first if not said.
    pub fn root_id(mut self, root_id: &str) -> HttpRequest {
        self.root_id = Some(root_id.to_owned());
        self
    }

    /// The cluster it goes to; `default` if not said.
    pub fn cluster(mut self, name: &str) -> HttpRequest {
        self.cluster = name.to_owned();
        self
    }

    /// What the guest reads as `listener_metadata.filter_metadata`.
    pub fn listener_metadata(mut self, filter_metadata: Value) -> HttpRequest {
        self.connection.listener_metadata = Arc::new(json!({ "filter_metadata": filter_metadata }));
        self
    }

    /// A property of this request alone, by its path with dots.
    pub fn property(mut self, path: impl Into<String>, value: impl AsRef<[u8]>) -> HttpRequest {
        self.properties.push((path.into(), value.as_ref().to_vec()));
        self
    }

    /// Sends the request, which has no body.
    pub fn send(self) -> Exchange {
        self.begin(End::Last)
    }

    /// Sends the request with this body. As from HTTP/1, the guest gets the body
    /// first and then, with no bytes, its end.
    pub fn send_body(self, body: impl AsRef<[u8]>) -> Exchange {
        let mut exchange = self.begin(End::More);
        exchange.send(body);
        exchange.send_last("");
        exchange
    }

    /// Sends the headers; body and trailers are to follow.
    pub fn open(self) -> Exchange {
        self.begin(End::More)
    }

    fn begin(self, end: End) -> Exchange {
        let key = {
            let mut stage = self.stage.borrow_mut();
            let root = root(&stage, self.worker, self.root_id.as_deref());
            let mut info = HttpInfo::new(self.connection, self.headers.clone());
            if let Some(protocol) = self.protocol {
                info.protocol = protocol;
            }
            let key = stage.open_stream(self.worker, root, info, self.cluster, self.properties);
            stage.client_sends(key, Piece::Headers(self.headers, end));
            stage.settle();
            key
        };
        Exchange {
            stage: self.stage,
            key,
            response: Headers::new(),
            trailers: Headers::new(),
        }
    }

    fn set(mut self, name: &str, value: &str) -> HttpRequest {
        for pair in &mut self.headers {
            if pair.0 == name {
                pair.1 = value.as_bytes().to_vec();
            }
        }
        self
    }
}

/// A request under way, and its response.
pub struct Exchange {
    stage: Rc<RefCell<Stage>>,
    key: usize,
    /// Lent out by `header`.
    response: Headers,
    /// Lent out by `trailer`.
    trailers: Headers,
}

impl Exchange {
    /// Sends a piece of the body.
    pub fn send(&mut self, chunk: impl AsRef<[u8]>) {
        self.piece(Piece::Data(chunk.as_ref().to_vec(), End::More));
    }

    /// Sends the last piece of the body.
    pub fn send_last(&mut self, chunk: impl AsRef<[u8]>) {
        self.piece(Piece::Data(chunk.as_ref().to_vec(), End::Last));
    }

    /// Ends the request with trailers.
    pub fn send_trailers(&mut self, trailers: &[(&str, &str)]) {
        self.piece(Piece::Trailers(pairs(trailers)));
    }

    /// The client goes away.
    pub fn reset(&mut self) {
        let mut stage = self.stage.borrow_mut();
        stage.finish_stream(self.key, Over::Reset);
        stage.settle();
    }

    /// Answers in place of the cluster: for one that [`hangs`](super::hangs),
    /// or whose request is not complete yet.
    pub fn respond(&mut self, answer: Cluster) {
        let mut stage = self.stage.borrow_mut();
        stage.respond_with(self.key, answer);
        stage.settle();
    }

    /// Sends the response's headers in place of the cluster, which then does not
    /// answer any more; body and trailers are to follow.
    pub fn respond_headers(&mut self, status: u16, headers: &[(&str, &str)]) {
        let mut all = vec![(":status".to_owned(), status.to_string().into_bytes())];
        all.extend(pairs(headers));
        self.response_piece(Piece::Headers(all, End::More));
    }

    /// Sends a piece of the response's body, after
    /// [`respond_headers`](Exchange::respond_headers).
    pub fn respond_chunk(&mut self, chunk: impl AsRef<[u8]>) {
        self.response_piece(Piece::Data(chunk.as_ref().to_vec(), End::More));
    }

    /// Sends the last piece of the response's body.
    pub fn respond_last(&mut self, chunk: impl AsRef<[u8]>) {
        self.response_piece(Piece::Data(chunk.as_ref().to_vec(), End::Last));
    }

    /// Ends the response with trailers.
    pub fn respond_trailers(&mut self, trailers: &[(&str, &str)]) {
        self.response_piece(Piece::Trailers(pairs(trailers)));
    }

    /// The upstream goes away: before its headers Envoy answers in its place,
    /// later the stream is reset.
    pub fn reset_upstream(&mut self) {
        let mut stage = self.stage.borrow_mut();
        stage.upstream_leaves(self.key);
        stage.settle();
    }

    /// The response's status; `None`: no response came through yet.
    pub fn status(&self) -> Option<u16> {
        let stage = self.stage.borrow();
        let headers = stage.streams[self.key].response.out.headers.as_ref();
        headers.map(status)
    }

    /// The first header of this name of the response, if it is text.
    pub fn header(&mut self, name: &str) -> Option<&str> {
        self.response = self.response_headers();
        header(&self.response, name)
    }

    /// The response's headers that came through, `:status` included.
    pub fn response_headers(&self) -> Headers {
        let stage = self.stage.borrow();
        let headers = stage.streams[self.key].response.out.headers.clone();
        headers.unwrap_or_default()
    }

    /// The response's body as far as it came through.
    pub fn body(&self) -> Bytes {
        let stage = self.stage.borrow();
        Bytes::copy_from_slice(&stage.streams[self.key].response.out.body)
    }

    /// The first trailer of this name of the response, if it is text.
    pub fn trailer(&mut self, name: &str) -> Option<&str> {
        let trailers = self.stage.borrow().streams[self.key]
            .response
            .out
            .trailers
            .clone();
        self.trailers = trailers;
        header(&self.trailers, name)
    }

    /// Whether the whole response came through.
    pub fn is_complete(&self) -> bool {
        self.stage.borrow().streams[self.key].response.out.complete
    }

    /// Whether the stream was reset, by whomever.
    pub fn is_reset(&self) -> bool {
        self.stage.borrow().streams[self.key].over == Some(Over::Reset)
    }

    /// Whether the filter holds the request back.
    pub fn request_is_paused(&self) -> bool {
        let stage = self.stage.borrow();
        let stream = &stage.streams[self.key];
        stream.over.is_none() && stream.request.paused.is_some()
    }

    /// Whether the filter holds the response back.
    pub fn response_is_paused(&self) -> bool {
        let stage = self.stage.borrow();
        let stream = &stage.streams[self.key];
        stream.over.is_none() && stream.response.paused.is_some()
    }

    /// Why the response was made by the filter or the proxy itself: its
    /// details. `None`: the upstream made it.
    pub fn local_reply(&self) -> Option<String> {
        self.stage.borrow().streams[self.key].local.clone()
    }

    /// The request as it came through so far; `None`: its headers did not.
    pub fn upstream_request(&self) -> Option<Request> {
        self.stage.borrow().upstream_request(self.key)
    }

    /// What the filter set with `set_envoy_filter_state`.
    pub fn filter_state(&self, key: &str) -> Option<String> {
        let stage = self.stage.borrow();
        let stream = &stage.streams[self.key];
        let live = stream.context.and_then(|context| {
            let vm = stage.workers[stream.worker].vm.as_ref()?;
            vm.filter_state(context, key).map(str::to_owned)
        });
        live.or_else(|| stream.filter_state.get(key).cloned())
    }

    /// The context of this stream in the guest, also after it is gone; `None`:
    /// there was no VM when it began.
    pub fn context_id(&self) -> Option<ContextId> {
        self.stage.borrow().streams[self.key].first_context
    }

    fn response_piece(&mut self, piece: Piece) {
        let mut stage = self.stage.borrow_mut();
        stage.upstream_sends(self.key, piece);
        stage.settle();
    }

    fn piece(&mut self, piece: Piece) {
        let mut stage = self.stage.borrow_mut();
        stage.client_sends(self.key, piece);
        stage.settle();
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Headers {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec()))
        .collect()
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = self.stage.borrow();
        let stream = &stage.streams[self.key];
        f.debug_struct("Exchange")
            .field("request paused", &stream.request.paused)
            .field("response paused", &stream.response.paused)
            .field(
                "response",
                &stream.response.out.headers.as_ref().map(status),
            )
            .field("over", &stream.over)
            .finish()
    }
}

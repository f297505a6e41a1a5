//! A client's end of an HTTP request.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use proxy_wasm_engine::{ContextId, End, Headers};

use crate::cluster::{Cluster, Request};
use crate::headers::{header, of_status, pairs, status};
use crate::http::piece::Piece;
use crate::http::stream::StreamEnd;
use crate::simulator::Simulator;

/// A request under way, and its response.
pub struct Exchange {
    simulator: Rc<RefCell<Simulator>>,
    key: usize,
    /// Lent out by `header`.
    response: Headers,
    /// Lent out by `trailer`.
    trailers: Headers,
}

impl Exchange {
    pub(crate) fn new(simulator: Rc<RefCell<Simulator>>, key: usize) -> Exchange {
        Exchange {
            simulator,
            key,
            response: Headers::new(),
            trailers: Headers::new(),
        }
    }

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
        let mut simulator = self.simulator.borrow_mut();
        simulator.finish_stream(self.key, StreamEnd::Reset);
        simulator.settle();
    }

    /// Answers in place of the cluster: for one that [`hangs`](crate::hangs),
    /// or whose request is not complete yet.
    pub fn respond(&mut self, answer: Cluster) {
        let mut simulator = self.simulator.borrow_mut();
        simulator.respond_with(self.key, answer);
        simulator.settle();
    }

    /// Sends the response's headers in place of the cluster, which then does not
    /// answer any more; body and trailers are to follow.
    pub fn respond_headers(&mut self, status: u16, headers: &[(&str, &str)]) {
        let mut all = of_status(status);
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
        let mut simulator = self.simulator.borrow_mut();
        simulator.upstream_leaves(self.key);
        simulator.settle();
    }

    /// The response's status; `None`: no response came through yet.
    pub fn status(&self) -> Option<u16> {
        let simulator = self.simulator.borrow();
        let headers = simulator.streams[self.key].response.out.headers.as_ref();
        headers.map(status)
    }

    /// The first header of this name of the response, if it is text.
    pub fn header(&mut self, name: &str) -> Option<&str> {
        self.response = self.response_headers();
        header(&self.response, name)
    }

    /// The response's headers that came through, `:status` included.
    pub fn response_headers(&self) -> Headers {
        let simulator = self.simulator.borrow();
        let headers = simulator.streams[self.key].response.out.headers.clone();
        headers.unwrap_or_default()
    }

    /// The response's body as far as it came through.
    pub fn body(&self) -> Bytes {
        let simulator = self.simulator.borrow();
        Bytes::copy_from_slice(&simulator.streams[self.key].response.out.body)
    }

    /// The first trailer of this name of the response, if it is text.
    pub fn trailer(&mut self, name: &str) -> Option<&str> {
        let trailers = self.simulator.borrow().streams[self.key]
            .response
            .out
            .trailers
            .clone();
        self.trailers = trailers;
        header(&self.trailers, name)
    }

    /// Whether the whole response came through.
    pub fn is_complete(&self) -> bool {
        self.simulator.borrow().streams[self.key]
            .response
            .out
            .complete
    }

    /// Whether the stream was reset, by either side, the filter or the proxy.
    pub fn is_reset(&self) -> bool {
        self.simulator.borrow().streams[self.key].ended == Some(StreamEnd::Reset)
    }

    /// Whether the filter holds the request back.
    pub fn request_is_paused(&self) -> bool {
        let simulator = self.simulator.borrow();
        let stream = &simulator.streams[self.key];
        stream.ended.is_none() && stream.request.paused.is_some()
    }

    /// Whether the filter holds the response back.
    pub fn response_is_paused(&self) -> bool {
        let simulator = self.simulator.borrow();
        let stream = &simulator.streams[self.key];
        stream.ended.is_none() && stream.response.paused.is_some()
    }

    /// Why the response was made by the filter or the proxy itself: its
    /// details. `None`: the upstream made it.
    pub fn local_reply(&self) -> Option<String> {
        self.simulator.borrow().streams[self.key].local.clone()
    }

    /// The request as it came through so far; `None`: its headers did not.
    pub fn upstream_request(&self) -> Option<Request> {
        self.simulator.borrow().upstream_request(self.key)
    }

    /// What the filter set with `set_envoy_filter_state`.
    pub fn filter_state(&self, key: &str) -> Option<String> {
        let simulator = self.simulator.borrow();
        let stream = &simulator.streams[self.key];
        let live = simulator.filter_state(stream.worker, stream.context, key);
        live.or_else(|| stream.filter_state.get(key).cloned())
    }

    /// The context of this stream in the guest, also after it is gone; `None`:
    /// there was no VM when it began.
    pub fn context_id(&self) -> Option<ContextId> {
        self.simulator.borrow().streams[self.key].first_context
    }

    fn response_piece(&mut self, piece: Piece) {
        let mut simulator = self.simulator.borrow_mut();
        simulator.upstream_sends(self.key, piece);
        simulator.settle();
    }

    fn piece(&mut self, piece: Piece) {
        let mut simulator = self.simulator.borrow_mut();
        simulator.client_sends(self.key, piece);
        simulator.settle();
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simulator = self.simulator.borrow();
        let stream = &simulator.streams[self.key];
        f.debug_struct("Exchange")
            .field("request paused", &stream.request.paused)
            .field("response paused", &stream.response.paused)
            .field(
                "response",
                &stream.response.out.headers.as_ref().map(status),
            )
            .field("ended", &stream.ended)
            .finish()
    }
}

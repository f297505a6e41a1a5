//! Responses that the guest or the proxy itself makes.

use proxy_wasm_engine::envoy::local_reply;
use proxy_wasm_engine::{ContextId, End, Headers};

use crate::headers::{header, of_status, pair};
use crate::http::piece::Piece;
use crate::http::stream::{Half, HalfKind, StreamEnd};
use crate::simulator::Simulator;

impl Simulator {
    /// An answer that the proxy itself makes up; the guest sees it as a response.
    pub(super) fn proxy_reply(&mut self, key: usize, status: u16, body: &str, details: &str) {
        let reply = local_reply(status, body);
        self.local_reply(key, reply.headers, reply.body, details.to_owned());
    }

    pub(crate) fn local_response(
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
        let mut all = of_status(status);
        all.extend(headers);
        if !body.is_empty() {
            let has = |name| header(&all, name).is_some();
            let (length, kind) = (has("content-length"), has("content-type"));
            if !length {
                all.push(pair("content-length", body.len().to_string()));
            }
            if !kind {
                all.push(pair("content-type", "text/plain"));
            }
        }
        self.local_reply(key, all, body, details);
    }

    pub(crate) fn local_reply(
        &mut self,
        key: usize,
        headers: Headers,
        body: Vec<u8>,
        details: String,
    ) {
        let stream = &mut self.streams[key];
        if stream.ended.is_some() || stream.local.is_some() {
            return;
        }
        if stream.response.out.headers.is_some() {
            // The client has a response already; it cannot be taken back.
            self.finish_stream(key, StreamEnd::Reset);
            return;
        }
        stream.local = Some(details.clone());
        stream.request.stopped = true;
        // When a response has begun, Envoy's local reply bypasses the filters.
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
        self.pump(key, HalfKind::Response);
    }
}

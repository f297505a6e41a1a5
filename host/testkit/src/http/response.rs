//! Where responses come from: the cluster, the guest, or the proxy itself.

use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_engine::envoy::reset_reason::{CONNECTION_TERMINATION, REMOTE_CONNECTION_FAILURE};
use proxy_wasm_engine::envoy::{REQUEST_TIMEOUT, reset_before_headers, response_flag};
use proxy_wasm_engine::{End, HttpInfo, Upstream};

use crate::cluster::{Behaviour, Cluster, Request};
use crate::headers::of_status;
use crate::http::piece::Piece;
use crate::http::stream::{HalfKind, StreamEnd};
use crate::simulator::Simulator;
use crate::simulator::event_queue::Event;

impl Simulator {
    /// The request as the upstream got it so far.
    pub(crate) fn upstream_request(&self, key: usize) -> Option<Request> {
        let stream = &self.streams[key];
        let out = &stream.request.out;
        let headers = out.headers.clone()?;
        let mut request = Request::new(&stream.cluster, stream.started, headers);
        request.body = out.body.clone();
        request.trailers = out.trailers.clone();
        Some(request)
    }

    /// The whole request is there; the cluster decides how it answers.
    pub(crate) fn ask_upstream(&mut self, key: usize) {
        if std::mem::replace(&mut self.streams[key].asked, true) {
            return;
        }
        let Some(request) = self.upstream_request(key) else {
            return;
        };
        let worker = self.streams[key].worker;
        let name = request.cluster.clone();
        let Some(outcome) = self.clusters.serve(&name, &request) else {
            self.kit_state
                .note(worker, format!("there is no cluster {name:?}"));
            self.proxy_reply(key, 503, "", "cluster_not_found");
            return;
        };
        let note = format!("the request goes to {name}, which {outcome:?}");
        self.kit_state.note(worker, note);
        self.requests.push(request);
        let now = self.now();
        (self.event_queue).put(
            now + RESPONSE_TIMEOUT,
            Event::ResponseTimeout { exchange: key },
        );
        if !matches!(outcome.behaviour, Behaviour::Hangs) {
            let event = Event::Response { exchange: key };
            self.event_queue.put(now + outcome.delay, event);
        }
        self.streams[key].outcome = Some(outcome);
    }

    /// The upstream sends a piece of its response, as the test has it.
    pub(crate) fn upstream_sends(&mut self, key: usize, piece: Piece) {
        let stream = &mut self.streams[key];
        if stream.ended.is_none() && stream.local.is_none() {
            stream.asked = true;
            stream.outcome = None;
            stream.by_hand = true;
            stream.response.queue.push_back(piece);
            self.pump(key, HalfKind::Response);
        }
    }

    /// The upstream closes before its response is complete.
    pub(crate) fn upstream_leaves(&mut self, key: usize) {
        let stream = &mut self.streams[key];
        if stream.ended.is_some() || stream.local.is_some() {
            return;
        }
        stream.by_hand = true;
        self.flag(key, response_flag::UPSTREAM_CONNECTION_TERMINATION);
        if self.streams[key].response.out.headers.is_some() {
            self.finish_stream(key, StreamEnd::Reset);
        } else {
            self.proxy_reply(
                key,
                503,
                &reset_before_headers(CONNECTION_TERMINATION),
                "upstream_reset_before_response_started",
            );
        }
    }

    /// Sets the properties that say where the request went.
    fn record_upstream(&mut self, key: usize, name: &str, cluster: &Cluster) {
        let upstream = Upstream {
            cluster: name.into(),
            metadata: cluster.metadata.clone(),
            address: self.clusters.address_of(name, cluster),
            local_address: self.local_address(key),
        };
        if let Some(info) = self.info_mut(key) {
            info.connection.upstream = Some(Arc::new(upstream));
            info.connection.attempts = 1;
        }
    }

    /// Sets one of Envoy's response flags.
    fn flag(&mut self, key: usize, flag: u64) {
        if let Some(info) = self.info_mut(key) {
            info.connection.response_flags |= flag;
        }
    }

    pub(crate) fn info_mut(&mut self, key: usize) -> Option<&mut HttpInfo> {
        let stream = &self.streams[key];
        let (worker, context) = (stream.worker, stream.context?);
        self.workers[worker].vm.as_mut()?.http_mut(context)
    }

    /// The test answers in place of a cluster that hangs.
    pub(crate) fn respond_with(&mut self, key: usize, cluster: Cluster) {
        let at = self.now() + cluster.delay;
        self.streams[key].asked = true;
        self.streams[key].outcome = Some(cluster);
        self.event_queue.put(at, Event::Response { exchange: key });
    }

    /// The upstream's answer arrives.
    pub(crate) fn respond(&mut self, key: usize) {
        let stream = &mut self.streams[key];
        let begun = stream.by_hand || stream.local.is_some();
        if stream.ended.is_some() || begun {
            return;
        }
        let Some(outcome) = stream.outcome.take() else {
            return;
        };
        let name = stream.cluster.clone();
        match &outcome.behaviour {
            Behaviour::Answers(_) => self.record_upstream(key, &name, &outcome),
            Behaviour::BreaksOff | Behaviour::Resets => {
                self.record_upstream(key, &name, &outcome);
                self.flag(key, response_flag::UPSTREAM_CONNECTION_TERMINATION);
            }
            _ => self.flag(key, response_flag::UPSTREAM_CONNECTION_FAILURE),
        }
        let stream = &mut self.streams[key];
        match outcome.behaviour {
            Behaviour::Answers(answer) => {
                let headers = answer.full_headers(outcome.delay);
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
                self.pump(key, HalfKind::Response);
            }
            Behaviour::BreaksOff => {
                let headers = Piece::Headers(of_status(200), End::More);
                stream.response.queue.push_back(headers);
                self.pump(key, HalfKind::Response);
                self.finish_stream(key, StreamEnd::Reset);
            }
            Behaviour::Resets => {
                self.proxy_reply(
                    key,
                    503,
                    &reset_before_headers(CONNECTION_TERMINATION),
                    "upstream_reset_before_response_started",
                );
            }
            _ => self.proxy_reply(
                key,
                503,
                &reset_before_headers(REMOTE_CONNECTION_FAILURE),
                "upstream_reset_before_response_started",
            ),
        }
    }

    pub(crate) fn response_timeout(&mut self, key: usize) {
        let stream = &self.streams[key];
        if stream.ended.is_none()
            && !stream.by_hand
            && stream.local.is_none()
            && stream.response.out.headers.is_none()
        {
            self.flag(key, response_flag::UPSTREAM_REQUEST_TIMEOUT);
            self.proxy_reply(key, 504, REQUEST_TIMEOUT, "response_timeout");
        }
    }
}

/// Envoy's default timeout of a route.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

//! gRPC streams that the guest opened.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm_engine::{CallToken, End, GrpcCall, Headers};

use crate::calls::call::{Call, CallKind, OpenGrpcStream};
use crate::calls::grpc_headers;
use crate::cluster::{Behaviour, CannedResponse, Request};
use crate::headers::pairs;
use crate::simulator::Simulator;
use crate::simulator::event_queue::{CallKey, Event};

/// An upstream's end of a gRPC stream that the guest opened; made by
/// [`TestKit::grpc_stream`](crate::TestKit::grpc_stream). What the guest sends is
/// among the [requests](crate::TestKit::requests_to) of its cluster.
pub struct GrpcStream {
    simulator: Rc<RefCell<Simulator>>,
    key: CallKey,
}

impl GrpcStream {
    pub(crate) fn new(simulator: Rc<RefCell<Simulator>>, key: CallKey) -> GrpcStream {
        GrpcStream { simulator, key }
    }

    /// Sends a message. On a closed stream it is lost.
    pub fn send(&mut self, message: impl AsRef<[u8]>) {
        let mut simulator = self.simulator.borrow_mut();
        simulator.grpc_push(self.key, message.as_ref().to_vec());
        simulator.settle();
    }

    /// Ends the stream with this status; 0 is success.
    pub fn close(&mut self, status: u32, message: &str) {
        self.close_with(status, message, &[]);
    }

    /// Ends the stream with this status and trailing metadata.
    pub fn close_with(&mut self, status: u32, message: &str, trailers: &[(&str, &str)]) {
        let mut simulator = self.simulator.borrow_mut();
        simulator.grpc_end(self.key, status, message, pairs(trailers));
        simulator.settle();
    }

    /// Whether neither side has ended it.
    pub fn is_open(&self) -> bool {
        self.simulator.borrow().calls.contains_key(&self.key)
    }
}

impl Simulator {
    pub(crate) fn grpc_stream(&mut self, worker: usize, call: GrpcCall) {
        let opened = OpenGrpcStream {
            headers: grpc_headers(&call),
            initial_metadata_sent: false,
            answers: Vec::new(),
            half_closed: false,
        };
        let key = self.key(worker, call.token);
        let open = Call::new(&call.cluster, CallKind::Stream(opened), None);
        let note = format!("gRPC stream {}/{} opens", call.service, call.method);
        self.kit_state.note(worker, note);
        self.calls.insert(key, open);
    }

    /// The newest open gRPC stream to this cluster.
    pub(crate) fn find_grpc_stream(&self, cluster: &str) -> Option<CallKey> {
        let mut calls = self.calls.iter().rev();
        let found = calls
            .find(|(_, call)| call.cluster == cluster && matches!(call.kind, CallKind::Stream(_)));
        found.map(|(key, _)| *key)
    }

    /// The upstream sends a message on its own.
    pub(crate) fn grpc_push(&mut self, key: CallKey, message: Vec<u8>) {
        self.send_initial_metadata(key, Headers::new());
        if self.calls.contains_key(&key) {
            self.call_guest(key.worker, |vm| vm.grpc_message(key.token, message));
        }
    }

    /// The upstream ends the stream.
    pub(crate) fn grpc_end(&mut self, key: CallKey, status: u32, message: &str, trailers: Headers) {
        self.send_initial_metadata(key, Headers::new());
        self.carry_out_effects();
        if self.calls.remove(&key).is_some() {
            self.call_guest(key.worker, |vm| {
                vm.grpc_trailing_metadata(key.token, trailers)
            });
            self.call_guest(key.worker, |vm| vm.grpc_close(key.token, status, message));
        }
    }

    /// Sends initial metadata, once and before anything else.
    fn send_initial_metadata(&mut self, key: CallKey, metadata: Headers) {
        let Some(Call {
            kind: CallKind::Stream(opened),
            ..
        }) = self.calls.get_mut(&key)
        else {
            return;
        };
        if !std::mem::replace(&mut opened.initial_metadata_sent, true) {
            self.call_guest(key.worker, |vm| {
                vm.grpc_initial_metadata(key.token, metadata)
            });
        }
    }

    pub(crate) fn grpc_send(
        &mut self,
        worker: usize,
        token: CallToken,
        message: Vec<u8>,
        end: End,
    ) {
        let key = self.key(worker, token);
        let Some((cluster, headers)) = self.calls.get(&key).and_then(|call| match &call.kind {
            CallKind::Stream(opened) => Some((call.cluster.clone(), opened.headers.clone())),
            _ => None,
        }) else {
            return;
        };
        let mut request = Request::new(&cluster, self.now(), headers);
        request.body = message;
        let outcome = self.call_outcome(&cluster, &request);
        self.requests.push(request);
        let outcome = outcome.unwrap_or_else(crate::cluster::refuses);
        let at = self.now() + outcome.delay;
        let Some(Call {
            kind: CallKind::Stream(opened),
            outcome: broken,
            ..
        }) = self.calls.get_mut(&key)
        else {
            return;
        };
        match outcome.behaviour {
            Behaviour::Answers(answer) => opened.answers.push(answer),
            Behaviour::Hangs => return,
            _ => *broken = Some(outcome),
        }
        self.event_queue.put(at, Event::Answer(key));
        if end == End::Last {
            self.grpc_half_close(worker, token);
        }
    }

    /// The guest sends no more; the upstream answers what it has and closes.
    pub(crate) fn grpc_half_close(&mut self, worker: usize, token: CallToken) {
        let key = self.key(worker, token);
        if let Some(Call {
            kind: CallKind::Stream(opened),
            ..
        }) = self.calls.get_mut(&key)
        {
            opened.half_closed = true;
            self.event_queue.put(self.now(), Event::Answer(key));
        }
    }

    pub(crate) fn stream_answer(&mut self, key: CallKey) {
        let Some(Call {
            kind: CallKind::Stream(opened),
            outcome: broken,
            ..
        }) = self.calls.get_mut(&key)
        else {
            return;
        };
        if broken.is_some() {
            self.calls.remove(&key);
            self.grpc_unavailable(key);
            return;
        }
        let answers = std::mem::take(&mut opened.answers);
        let closes = opened.half_closed;
        self.send_initial_metadata(key, answers.first().map(own_headers).unwrap_or_default());
        let mut last = None;
        for answer in answers {
            if answer.grpc_status == 0 {
                let body = answer.body.clone();
                self.call_guest(key.worker, |vm| vm.grpc_message(key.token, body));
            }
            let failed = answer.grpc_status != 0;
            last = Some(answer);
            if failed {
                break;
            }
        }
        let (status, message, trailers) = last.map_or_else(
            || (0, String::new(), Headers::new()),
            |answer| (answer.grpc_status, answer.grpc_message, answer.trailers),
        );
        if status != 0 || closes {
            // No effect when the guest cancelled the stream on one of the messages.
            self.grpc_end(key, status, &message, trailers);
        }
    }
}

/// An answer's headers without `:status`.
fn own_headers(answer: &CannedResponse) -> Headers {
    let own = answer.headers.iter();
    own.filter(|(name, _)| !name.starts_with(':'))
        .cloned()
        .collect()
}

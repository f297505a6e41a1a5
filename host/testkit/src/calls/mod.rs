//! HTTP and gRPC calls the guest has under way.

pub(crate) mod call;
pub(crate) mod grpc;

use std::time::Duration;

use proxy_wasm_engine::envoy::{
    REQUEST_TIMEOUT,
    grpc_status::{DEADLINE_EXCEEDED, UNAVAILABLE},
    local_reply, reset_before_headers,
    reset_reason::{CONNECTION_TERMINATION, REMOTE_CONNECTION_FAILURE},
};
use proxy_wasm_engine::{CallReply, CallToken, ContextId, GrpcCall, Headers, HttpCall};

use crate::calls::call::{Call, CallKind};
use crate::cluster::{Behaviour, Cluster, Request};
use crate::headers::pairs;
use crate::simulator::Simulator;
use crate::simulator::event_queue::{CallKey, Event};

impl Simulator {
    pub(crate) fn key(&self, worker: usize, token: CallToken) -> CallKey {
        let generation = self.workers[worker].generation;
        CallKey {
            worker,
            generation,
            token,
        }
    }

    pub(crate) fn http_call(&mut self, worker: usize, call: HttpCall) {
        let mut request = Request::new(&call.cluster, self.now(), call.headers);
        request.body = call.body;
        request.trailers = call.trailers;
        let kind = CallKind::Http { root: call.root };
        let open = Call::new(&call.cluster, kind, call.timeout);
        self.open_call(self.key(worker, call.token), open, request, call.timeout);
    }

    pub(crate) fn grpc_call(&mut self, worker: usize, call: GrpcCall) {
        let mut request = Request::new(&call.cluster, self.now(), grpc_headers(&call));
        request.body = call.message;
        let open = Call::new(&call.cluster, CallKind::Unary, call.timeout);
        self.open_call(self.key(worker, call.token), open, request, call.timeout);
    }

    fn open_call(
        &mut self,
        key: CallKey,
        mut call: Call,
        request: Request,
        timeout: Option<Duration>,
    ) {
        let outcome = self.call_outcome(&request.cluster, &request);
        // The cluster went away between the call and now.
        let outcome = outcome.unwrap_or_else(crate::cluster::refuses);
        let hangs = matches!(outcome.behaviour, Behaviour::Hangs);
        let note = format!(
            "{} {}{} goes to {}, which {outcome:?}",
            request.method, request.authority, request.path, request.cluster
        );
        self.kit_state.note(key.worker, note);
        if let Some(timeout) = timeout {
            self.event_queue
                .put(self.now() + timeout, Event::CallTimeout(key));
        }
        if !hangs {
            self.event_queue
                .put(self.now() + outcome.delay, Event::Answer(key));
        }
        call.outcome = Some(outcome);
        self.requests.push(request);
        self.calls.insert(key, call);
    }

    /// The call's answer arrives.
    pub(crate) fn answer(&mut self, key: CallKey) {
        let streams =
            (self.calls.get(&key)).is_some_and(|call| matches!(call.kind, CallKind::Stream(_)));
        if streams {
            self.stream_answer(key);
            return;
        }
        let Some(call) = self.calls.remove(&key) else {
            return;
        };
        let Some(outcome) = call.outcome else { return };
        match call.kind {
            CallKind::Http { root } => self.reply(key, root, http_reply(outcome)),
            CallKind::Unary => match outcome.behaviour {
                Behaviour::Answers(answer) if answer.grpc_status == 0 => {
                    self.call_guest(key.worker, |vm| vm.grpc_message(key.token, answer.body));
                    self.call_guest(key.worker, |vm| vm.grpc_close(key.token, 0, ""));
                }
                Behaviour::Answers(answer) => {
                    let (status, message) = (answer.grpc_status, answer.grpc_message);
                    self.call_guest(key.worker, |vm| vm.grpc_close(key.token, status, &message));
                }
                _ => self.grpc_unavailable(key),
            },
            CallKind::Stream(_) => {}
        }
    }

    /// The call times out.
    pub(crate) fn call_timeout(&mut self, key: CallKey) {
        let Some(call) = self.calls.remove(&key) else {
            return;
        };
        let note = format!("the call to {} timed out", call.cluster);
        self.kit_state.note(key.worker, note);
        match call.kind {
            CallKind::Http { root } => self.reply(key, root, local_reply(504, REQUEST_TIMEOUT)),
            CallKind::Unary | CallKind::Stream(_) => {
                self.call_guest(key.worker, |vm| {
                    vm.grpc_close(key.token, DEADLINE_EXCEEDED, REQUEST_TIMEOUT)
                });
            }
        }
    }

    fn reply(&mut self, key: CallKey, root: ContextId, reply: CallReply) {
        self.call_guest(key.worker, |vm| {
            vm.http_call_response(root, key.token, reply)
        });
    }

    pub(crate) fn grpc_unavailable(&mut self, key: CallKey) {
        self.call_guest(key.worker, |vm| {
            vm.grpc_close(
                key.token,
                UNAVAILABLE,
                &reset_before_headers(REMOTE_CONNECTION_FAILURE),
            )
        });
    }

    pub(crate) fn forget_call(&mut self, worker: usize, token: CallToken) {
        let key = self.key(worker, token);
        self.calls.remove(&key);
    }
}

pub(crate) fn grpc_headers(call: &GrpcCall) -> Headers {
    let path = format!("/{}/{}", call.service, call.method);
    let mut headers = pairs(&[
        (":method", "POST"),
        (":path", &path),
        (":authority", &call.cluster),
        ("content-type", "application/grpc"),
    ]);
    headers.extend(call.metadata.iter().cloned());
    headers
}

fn http_reply(outcome: Cluster) -> CallReply {
    match outcome.behaviour {
        Behaviour::Answers(answer) => CallReply {
            headers: answer.full_headers(outcome.delay),
            body: answer.body,
            trailers: answer.trailers,
        },
        Behaviour::Resets => local_reply(503, &reset_before_headers(CONNECTION_TERMINATION)),
        Behaviour::BreaksOff => CallReply::default(),
        _ => local_reply(503, &reset_before_headers(REMOTE_CONNECTION_FAILURE)),
    }
}

//! HTTP and gRPC calls the guest has under way.

use std::time::Duration;

use crate::vm::{CallReply, CallToken, ContextId, End, GrpcCall, Headers, HttpCall};

use super::agenda::{CallKey, Event};
use super::cluster::{Answer, Behaviour, Cluster, Request};
use super::stage::Stage;

/// A call under way.
pub(super) struct Call {
    pub(super) cluster: String,
    what: Kind,
    /// How it will go, once it is known.
    outcome: Option<Cluster>,
    pub(super) endless: bool,
}

enum Kind {
    Http { root: ContextId },
    Unary,
    Stream(Opened),
}

struct Opened {
    headers: Headers,
    /// Whether the guest has got initial metadata.
    greeted: bool,
    /// Answers whose time has not come yet.
    answers: Vec<Answer>,
    half_closed: bool,
}

impl Call {
    fn new(cluster: &str, what: Kind, timeout: Option<Duration>) -> Call {
        Call {
            cluster: cluster.to_owned(),
            what,
            outcome: None,
            endless: timeout.is_none(),
        }
    }
}

impl Stage {
    fn key(&self, worker: usize, token: CallToken) -> CallKey {
        let life = self.workers[worker].life;
        CallKey {
            worker,
            life,
            token,
        }
    }

    pub(super) fn http_call(&mut self, worker: usize, call: HttpCall) {
        let mut request = Request::new(&call.cluster, self.now(), call.headers);
        request.body = call.body;
        request.trailers = call.trailers;
        let kind = Kind::Http { root: call.root };
        let open = Call::new(&call.cluster, kind, call.timeout);
        self.open_call(self.key(worker, call.token), open, request, call.timeout);
    }

    pub(super) fn grpc_call(&mut self, worker: usize, call: GrpcCall) {
        let mut request = Request::new(&call.cluster, self.now(), grpc_headers(&call));
        request.body = call.message;
        let open = Call::new(&call.cluster, Kind::Unary, call.timeout);
        self.open_call(self.key(worker, call.token), open, request, call.timeout);
    }

    fn open_call(
        &mut self,
        key: CallKey,
        mut call: Call,
        request: Request,
        timeout: Option<Duration>,
    ) {
        let outcome = self.behaviour(&request.cluster, &request);
        // The cluster went away between the call and now.
        let outcome = outcome.unwrap_or_else(super::cluster::refuses);
        let hangs = matches!(outcome.behaviour, Behaviour::Hangs);
        let note = format!(
            "{} {}{} goes to {}, which {outcome:?}",
            request.method, request.authority, request.path, request.cluster
        );
        self.ground.note(key.worker, note);
        if let Some(timeout) = timeout {
            self.agenda
                .put(self.now() + timeout, Event::CallTimeout(key));
        }
        if !hangs {
            self.agenda
                .put(self.now() + outcome.delay, Event::Answer(key));
        }
        call.outcome = Some(outcome);
        self.requests.push(request);
        self.calls.insert(key, call);
    }

    /// The call's answer arrives.
    pub(super) fn answer(&mut self, key: CallKey) {
        let streams =
            (self.calls.get(&key)).is_some_and(|call| matches!(call.what, Kind::Stream(_)));
        if streams {
            self.stream_answer(key);
            return;
        }
        let Some(call) = self.calls.remove(&key) else {
            return;
        };
        let Some(outcome) = call.outcome else { return };
        match call.what {
            Kind::Http { root } => self.reply(key, root, http_reply(outcome)),
            Kind::Unary => match outcome.behaviour {
                Behaviour::Answers(answer) if answer.grpc_status == 0 => {
                    self.guest(key.worker, |vm| vm.grpc_message(key.token, answer.body));
                    self.guest(key.worker, |vm| vm.grpc_close(key.token, 0, ""));
                }
                Behaviour::Answers(answer) => {
                    let (status, message) = (answer.grpc_status, answer.grpc_message);
                    self.guest(key.worker, |vm| vm.grpc_close(key.token, status, &message));
                }
                _ => self.grpc_unavailable(key),
            },
            Kind::Stream(_) => {}
        }
    }

    /// The call's time is up.
    pub(super) fn call_timeout(&mut self, key: CallKey) {
        let Some(call) = self.calls.remove(&key) else {
            return;
        };
        let note = format!("the call to {} timed out", call.cluster);
        self.ground.note(key.worker, note);
        match call.what {
            Kind::Http { root } => self.reply(key, root, made_up(504, TIMED_OUT)),
            Kind::Unary | Kind::Stream(_) => {
                self.guest(key.worker, |vm| {
                    vm.grpc_close(key.token, DEADLINE_EXCEEDED, TIMED_OUT)
                });
            }
        }
    }

    fn reply(&mut self, key: CallKey, root: ContextId, reply: CallReply) {
        self.guest(key.worker, |vm| {
            vm.http_call_response(root, key.token, reply)
        });
    }

    fn grpc_unavailable(&mut self, key: CallKey) {
        self.guest(key.worker, |vm| {
            vm.grpc_close(key.token, UNAVAILABLE, REFUSED)
        });
    }

    pub(super) fn forget_call(&mut self, worker: usize, token: CallToken) {
        let key = self.key(worker, token);
        self.calls.remove(&key);
    }

    pub(super) fn grpc_stream(&mut self, worker: usize, call: GrpcCall) {
        let opened = Opened {
            headers: grpc_headers(&call),
            greeted: false,
            answers: Vec::new(),
            half_closed: false,
        };
        let key = self.key(worker, call.token);
        let open = Call::new(&call.cluster, Kind::Stream(opened), None);
        let note = format!("gRPC stream {}/{} opens", call.service, call.method);
        self.ground.note(worker, note);
        self.calls.insert(key, open);
    }

    /// The newest open gRPC stream to this cluster.
    pub(super) fn find_grpc_stream(&self, cluster: &str) -> Option<CallKey> {
        let mut calls = self.calls.iter().rev();
        let found =
            calls.find(|(_, call)| call.cluster == cluster && matches!(call.what, Kind::Stream(_)));
        found.map(|(key, _)| *key)
    }

    /// The upstream sends a message on its own.
    pub(super) fn grpc_push(&mut self, key: CallKey, message: Vec<u8>) {
        self.greet(key, Headers::new());
        if self.calls.contains_key(&key) {
            self.guest(key.worker, |vm| vm.grpc_message(key.token, message));
        }
    }

    /// The upstream ends the stream.
    pub(super) fn grpc_end(&mut self, key: CallKey, status: u32, message: &str, trailers: Headers) {
        self.greet(key, Headers::new());
        self.carry_out_effects();
        if self.calls.remove(&key).is_some() {
            self.guest(key.worker, |vm| {
                vm.grpc_trailing_metadata(key.token, trailers)
            });
            self.guest(key.worker, |vm| vm.grpc_close(key.token, status, message));
        }
    }

    /// Initial metadata comes before anything else, once.
    fn greet(&mut self, key: CallKey, metadata: Headers) {
        let Some(Call {
            what: Kind::Stream(opened),
            ..
        }) = self.calls.get_mut(&key)
        else {
            return;
        };
        if !std::mem::replace(&mut opened.greeted, true) {
            self.guest(key.worker, |vm| {
                vm.grpc_initial_metadata(key.token, metadata)
            });
        }
    }

    pub(super) fn grpc_send(
        &mut self,
        worker: usize,
        token: CallToken,
        message: Vec<u8>,
        end: End,
    ) {
        let key = self.key(worker, token);
        let Some((cluster, headers)) = self.calls.get(&key).and_then(|call| match &call.what {
            Kind::Stream(opened) => Some((call.cluster.clone(), opened.headers.clone())),
            _ => None,
        }) else {
            return;
        };
        let mut request = Request::new(&cluster, self.now(), headers);
        request.body = message;
        let outcome = self.behaviour(&cluster, &request);
        self.requests.push(request);
        let outcome = outcome.unwrap_or_else(super::cluster::refuses);
        let at = self.now() + outcome.delay;
        let Some(Call {
            what: Kind::Stream(opened),
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
        self.agenda.put(at, Event::Answer(key));
        if end == End::Last {
            self.grpc_half_close(worker, token);
        }
    }

    /// The guest sends no more; the upstream answers what it has and closes.
    pub(super) fn grpc_half_close(&mut self, worker: usize, token: CallToken) {
        let key = self.key(worker, token);
        if let Some(Call {
            what: Kind::Stream(opened),
            ..
        }) = self.calls.get_mut(&key)
        {
            opened.half_closed = true;
            self.agenda.put(self.now(), Event::Answer(key));
        }
    }

    fn stream_answer(&mut self, key: CallKey) {
        let Some(Call {
            what: Kind::Stream(opened),
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
        self.greet(key, answers.first().map(own_headers).unwrap_or_default());
        let mut last = None;
        for answer in answers {
            if answer.grpc_status == 0 {
                let body = answer.body.clone();
                self.guest(key.worker, |vm| vm.grpc_message(key.token, body));
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
            // Unless the guest cancelled it when it was told of messages.
            self.grpc_end(key, status, &message, trailers);
        }
    }
}

fn grpc_headers(call: &GrpcCall) -> Headers {
    let path = format!("/{}/{}", call.service, call.method);
    let mut headers = vec![
        (":method".to_owned(), b"POST".to_vec()),
        (":path".to_owned(), path.into_bytes()),
        (":authority".to_owned(), call.cluster.clone().into_bytes()),
        ("content-type".to_owned(), b"application/grpc".to_vec()),
    ];
    headers.extend(call.metadata.iter().cloned());
    headers
}

/// An answer's headers without `:status`.
fn own_headers(answer: &Answer) -> Headers {
    let own = answer.headers.iter();
    own.filter(|(name, _)| !name.starts_with(':'))
        .cloned()
        .collect()
}

fn http_reply(outcome: Cluster) -> CallReply {
    let served_in = outcome.delay.as_millis().to_string();
    match outcome.behaviour {
        Behaviour::Answers(answer) => {
            let mut headers = answer.full_headers();
            // What tells a replica's answer from one the proxy made up.
            headers.push((SERVICE_TIME.to_owned(), served_in.into_bytes()));
            CallReply {
                headers,
                body: answer.body,
                trailers: answer.trailers,
            }
        }
        Behaviour::Resets => made_up(503, RESET),
        Behaviour::BreaksOff => CallReply::default(),
        _ => made_up(503, REFUSED),
    }
}

/// An answer as Envoy makes it up.
pub(super) fn made_up(status: u16, body: &str) -> CallReply {
    CallReply {
        headers: vec![
            (":status".to_owned(), status.to_string().into_bytes()),
            (
                "content-length".to_owned(),
                body.len().to_string().into_bytes(),
            ),
            ("content-type".to_owned(), b"text/plain".to_vec()),
        ],
        body: body.as_bytes().to_vec(),
        trailers: Vec::new(),
    }
}

pub(super) const REFUSED: &str = "upstream connect error or disconnect/reset before headers. \
    reset reason: remote connection failure";
pub(super) const RESET: &str = "upstream connect error or disconnect/reset before headers. \
    reset reason: connection termination";
pub(super) const TIMED_OUT: &str = "upstream request timeout";
pub(super) const SERVICE_TIME: &str = "x-envoy-upstream-service-time";
/// gRPC statuses.
const DEADLINE_EXCEEDED: u32 = 4;
const UNAVAILABLE: u32 = 14;

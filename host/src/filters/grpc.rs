//! The gRPC calls of a VM.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::AbortHandle;
use tracing::error;

use crate::caught_panic::CaughtPanic;
use crate::filters::caller::{VmCaller, spawn_for};
use crate::upstream::cluster::{Clusters, RoundRobin};
use crate::upstream::grpc_call::{self, GrpcEvent, Outbound, TooMuch};
use proxy_wasm_engine::envoy::grpc_status::{INTERNAL, RESOURCE_EXHAUSTED};
use proxy_wasm_engine::{CallToken, End, GrpcCall};

/// The gRPC calls a VM has open.
pub(super) struct GrpcCalls {
    clusters: Arc<Clusters>,
    round_robin: Rc<RoundRobin>,
    open_calls: RefCell<HashMap<CallToken, OpenGrpcCall>>,
}

struct OpenGrpcCall {
    task: AbortHandle,
    /// While the filter may send.
    outbound: Option<Outbound>,
}

/// How a gRPC call goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum GrpcKind {
    /// One message each way.
    Unary,
    /// Any number, until both ends close.
    Stream,
}

impl GrpcCalls {
    pub(super) fn new(clusters: Arc<Clusters>, round_robin: Rc<RoundRobin>) -> GrpcCalls {
        GrpcCalls {
            clusters,
            round_robin,
            open_calls: RefCell::default(),
        }
    }

    /// Begins a call.
    pub(super) fn start(self: &Rc<Self>, caller: impl VmCaller, call: GrpcCall, kind: GrpcKind) {
        let (outbound, outgoing) = grpc_call::outbound();
        let outbound = match kind {
            GrpcKind::Unary => {
                // The first message always fits.
                let _ = outbound.send(&call.message);
                None
            }
            GrpcKind::Stream => Some(outbound),
        };
        let (calls, token) = (Rc::clone(self), call.token);
        let task = spawn_for(caller.clone(), async move {
            // The VM let the call pass because the cluster exists.
            let Some(endpoint) = calls.clusters.endpoint(&call.cluster, &calls.round_robin) else {
                return;
            };
            let mut report = Report::new(caller.clone(), token, kind);
            let outcome = {
                let report = |event| report.event(event);
                let talk = grpc_call::converse(&call, endpoint, outgoing, report);
                CaughtPanic::catch_async(std::pin::pin!(talk)).await
            };
            if let Err(panic) = outcome {
                let cluster = &call.cluster;
                error!(cluster, %panic, "a filter's gRPC call failed: its task panicked");
                let message = "the call's task panicked".to_owned();
                report.event(GrpcEvent::Closed(INTERNAL, message));
            }
            if caller.is_current() {
                calls.open_calls.borrow_mut().remove(&token);
            }
        });
        self.open_calls
            .borrow_mut()
            .insert(token, OpenGrpcCall { task, outbound });
    }

    /// Sends a message of a stream. When too many wait for the other end, the call
    /// is over.
    pub(super) fn send(&self, caller: impl VmCaller, token: CallToken, message: &[u8], end: End) {
        let mut open_calls = self.open_calls.borrow_mut();
        let Some(call) = open_calls.get_mut(&token) else {
            return;
        };
        let sent = call.outbound.as_ref().map(|to| to.send(message));
        // Dropped, it ends what is sent.
        call.outbound.take_if(|_| end == End::Last);
        if sent == Some(Err(TooMuch))
            && let Some(call) = open_calls.remove(&token)
        {
            call.task.abort();
            spawn_for(caller.clone(), async move {
                let message = "the other end does not keep up";
                caller.call(|vm| vm.grpc_close(token, RESOURCE_EXHAUSTED, message));
            });
        }
    }

    /// The filter sends no more.
    pub(super) fn finish_sending(&self, token: CallToken) {
        if let Some(call) = self.open_calls.borrow_mut().get_mut(&token) {
            call.outbound = None;
        }
    }

    pub(super) fn cancel(&self, token: CallToken) {
        if let Some(call) = self.open_calls.borrow_mut().remove(&token) {
            call.task.abort();
        }
    }

    pub(super) fn cancel_all(&self) {
        self.open_calls
            .borrow_mut()
            .drain()
            .for_each(|(_, call)| call.task.abort());
    }
}

/// Reports to the VM what comes of a call.
struct Report<C> {
    caller: C,
    token: CallToken,
    kind: GrpcKind,
    /// The message of a unary call, until it is known that all went well.
    message: Option<Vec<u8>>,
}

impl<C: VmCaller> Report<C> {
    fn new(caller: C, token: CallToken, kind: GrpcKind) -> Report<C> {
        Report {
            caller,
            token,
            kind,
            message: None,
        }
    }

    fn event(&mut self, event: GrpcEvent) {
        let token = self.token;
        match (self.kind, event) {
            // As in Envoy: a unary call is over with its message.
            (GrpcKind::Unary, GrpcEvent::Message(first)) => self.message = Some(first),
            (GrpcKind::Unary, GrpcEvent::Initial(_) | GrpcEvent::Trailing(_)) => {}
            (GrpcKind::Unary, GrpcEvent::Closed(0, _)) => {
                let message = self.message.take();
                self.caller.call(|vm| match message {
                    Some(message) => vm.grpc_message(token, message),
                    None => vm.grpc_close(token, INTERNAL, "no message came"),
                });
            }
            (_, GrpcEvent::Closed(status, message)) => {
                self.caller
                    .call(|vm| vm.grpc_close(token, status, &message));
            }
            (GrpcKind::Stream, GrpcEvent::Initial(metadata)) => {
                self.caller
                    .call(|vm| vm.grpc_initial_metadata(token, metadata));
            }
            (GrpcKind::Stream, GrpcEvent::Message(message)) => {
                self.caller.call(|vm| vm.grpc_message(token, message));
            }
            (GrpcKind::Stream, GrpcEvent::Trailing(metadata)) => {
                self.caller
                    .call(|vm| vm.grpc_trailing_metadata(token, metadata));
            }
        }
    }
}

//! Carries out what a VM asks for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::{debug, error};

use crate::caught_panic::CaughtPanic;
use crate::control::CloseCommand;
use crate::control::session_record::SessionRecord;
use crate::control::sessions::Sessions;
#[cfg(test)]
use crate::fault::{Fault, FaultSwitch};
use crate::filters::caller::{VmCaller, spawn_for};
use crate::filters::compiled_vm::CompiledVm;
use crate::filters::grpc::{GrpcCalls, GrpcKind};
use crate::filters::ticks::Ticks;
use crate::upstream::cluster::{Clusters, RoundRobin};
use crate::upstream::http_call::{Call, reset_reply};
use proxy_wasm_engine::{ContextId, Direction, Effect, Headers, HttpCall, Vm};

/// Carries out what a VM asks for, and owns what of it goes on: timers, calls, and
/// requests that wait for a response.
pub(super) struct Effects {
    compiled: Arc<CompiledVm>,
    sessions: Rc<Sessions>,
    clusters: Arc<Clusters>,
    /// Whose turn it is when a call goes to a pool.
    round_robin: Rc<RoundRobin>,
    ticks: Ticks,
    grpc_calls: Rc<GrpcCalls>,
    /// By the context of the request.
    responses: RefCell<HashMap<ContextId, oneshot::Sender<LocalResponse>>>,
}

/// A filter's own response to an HTTP request.
pub(crate) struct LocalResponse {
    pub(crate) status: u32,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Effects {
    pub(super) fn new(
        compiled: Arc<CompiledVm>,
        sessions: Rc<Sessions>,
        clusters: Arc<Clusters>,
    ) -> Effects {
        let round_robin = Rc::new(clusters.turns());
        let grpc_calls = GrpcCalls::new(Arc::clone(&clusters), Rc::clone(&round_robin));
        Effects {
            compiled,
            sessions,
            clusters,
            round_robin,
            ticks: Ticks::default(),
            grpc_calls: Rc::new(grpc_calls),
            responses: RefCell::default(),
        }
    }

    /// Has a place panic.
    #[cfg(test)]
    pub(super) fn with_fault(mut self, fault: FaultSwitch) -> Effects {
        self.ticks.fault = fault;
        self
    }

    /// Carries out one effect. The VM is never called from here: what comes of the
    /// effect reaches it through `caller`, in a task.
    pub(super) fn carry_out(&self, vm: &mut Vm, caller: impl VmCaller, effect: Effect) {
        match effect {
            Effect::Tick { root, period } => self.ticks.set(caller, root, period),
            Effect::HttpCall(call) => self.http_call(caller, call),
            Effect::ContinueDownstream(context) => self.resume(vm, context, Direction::Downstream),
            Effect::ContinueUpstream(context) => self.resume(vm, context, Direction::Upstream),
            Effect::CloseStream(context) => {
                if let Some((session, _)) = self.session(vm, context) {
                    session.control.order(CloseCommand::Close);
                }
            }
            Effect::LocalResponse {
                context,
                status,
                headers,
                body,
                ..
            } => {
                if let Some(waiting) = self.responses.borrow_mut().remove(&context) {
                    // The client may have gone.
                    let _ = waiting.send(LocalResponse {
                        status,
                        headers,
                        body,
                    });
                }
            }
            Effect::ResetHttp(context) | Effect::ContinueRequest(context) => {
                self.responses.borrow_mut().remove(&context);
            }
            Effect::GrpcCall(call) => self.grpc_calls.start(caller, call, GrpcKind::Unary),
            Effect::GrpcStream(call) => self.grpc_calls.start(caller, call, GrpcKind::Stream),
            Effect::GrpcSend {
                token,
                message,
                end,
            } => self.grpc_calls.send(caller, token, &message, end),
            Effect::GrpcClose(token) => self.grpc_calls.finish_sending(token),
            Effect::GrpcCancel(token) => self.grpc_calls.cancel(token),
            // Sessions ask before each chunk.
            Effect::SkipData(_) => {}
            other => debug!(effect = ?other, "left out: it has no meaning for a TCP connection"),
        }
    }

    /// The roots that have a timer.
    pub(super) fn ticking(&self) -> Vec<ContextId> {
        self.ticks.roots()
    }

    /// Waits for the response to a request; an error when there will be none.
    pub(super) fn response(&self, context: ContextId) -> oneshot::Receiver<LocalResponse> {
        let (sender, response) = oneshot::channel();
        self.responses.borrow_mut().insert(context, sender);
        response
    }

    /// No response is awaited any more.
    pub(super) fn forget_response(&self, context: ContextId) {
        self.responses.borrow_mut().remove(&context);
    }

    /// Ends everything that goes on: the VM is gone.
    pub(super) fn clear(&self) {
        self.responses.borrow_mut().clear();
        self.ticks.clear();
        self.grpc_calls.cancel_all();
    }

    fn resume(&self, vm: &mut Vm, context: ContextId, direction: Direction) {
        if let Some((session, slot)) = self.session(vm, context) {
            session.control.resume(direction, slot);
        }
    }

    /// The session of a connection, and this filter's slot in its chain.
    fn session(&self, vm: &mut Vm, context: ContextId) -> Option<(Rc<SessionRecord>, usize)> {
        let place = (*self.compiled.places.get(vm.plugin(context)?)?)?;
        let id = vm.tcp_mut(context)?.connection_id;
        Some((self.sessions.get(id)?, place.slot))
    }

    fn http_call(&self, caller: impl VmCaller, call: HttpCall) {
        let clusters = Arc::clone(&self.clusters);
        let round_robin = Rc::clone(&self.round_robin);
        let HttpCall {
            token,
            root,
            cluster,
            headers,
            body,
            timeout,
            ..
        } = call;
        #[cfg(test)]
        let fault = self.ticks.fault.clone();
        spawn_for(caller.clone(), async move {
            // The VM let the call pass because the cluster exists.
            let Some(endpoint) = clusters.endpoint(&cluster, &round_robin) else {
                return;
            };
            let call = Call {
                headers,
                body,
                timeout,
            };
            let making = std::pin::pin!(async {
                #[cfg(test)]
                fault.strike(Fault::HttpCall);
                call.make(endpoint).await
            });
            // What the other end sends may be why: it costs its call, not the VM.
            let reply = CaughtPanic::catch_async(making)
                .await
                .unwrap_or_else(|panic| {
                    error!(cluster, %panic, "a filter's HTTP call failed: its task panicked");
                    reset_reply()
                });
            caller.call(|vm| vm.http_call_response(root, token, reply));
        });
    }
}

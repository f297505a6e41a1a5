//! A worker's VM: calls it, carries out what it asks for, and replaces it when
//! it fails.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::filters::backoff::Backoff;
use tokio::sync::{Notify, oneshot};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

use crate::control::CloseCommand;
use crate::control::sessions::Sessions;
use crate::filters::compiled_vm::CompiledVm;
use crate::metrics::Counters;
use crate::plan::Failure;
use crate::proxy::shared_state::SharedState;
use crate::upstream::cluster::{Clusters, RoundRobin};
use crate::upstream::grpc_call::{self, GrpcEvent, Outbound, TooMuch};
use crate::upstream::http_call::Call;
use proxy_wasm_engine::{
    CallToken, ContextId, Direction, Effect, End, GrpcCall, Headers, HttpCall, HttpInfo, Trap, Vm,
    World,
};

/// A worker's VM. There may be none for a while; then nobody is asked.
pub(crate) struct VmOwner {
    /// Which of the site's programs it runs.
    program: usize,
    site: Arc<SharedState>,
    counters: Arc<Counters>,
    sessions: Rc<Sessions>,
    surroundings: Arc<Surroundings>,
    vm: RefCell<Option<Vm>>,
    /// Counts the VMs: what belongs to one that is gone is left alone.
    generation: Cell<u64>,
    /// By plugin.
    roots: RefCell<Vec<ContextId>>,
    ticks: RefCell<HashMap<ContextId, AbortHandle>>,
    answers: RefCell<HashMap<ContextId, oneshot::Sender<Answer>>>,
    /// Open gRPC calls.
    lines: RefCell<HashMap<CallToken, OpenGrpcCall>>,
    backoff: Cell<Backoff>,
    /// Whose turn it is when a call goes to a pool.
    turns: RoundRobin,
}

/// An open gRPC call of the guest.
struct OpenGrpcCall {
    task: AbortHandle,
    /// While the guest may send.
    outbound: Option<Outbound>,
}

/// How a gRPC call goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GrpcKind {
    /// One message each way.
    Once,
    /// Any number, until both ends close.
    Long,
}

/// A context, and the VM it lives in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContextHandle {
    pub(crate) context: ContextId,
    generation: u64,
}

/// What the guest says to an HTTP request.
pub(crate) struct Answer {
    pub(crate) status: u32,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl VmOwner {
    /// Starts the first VM. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// When the guest does not start: a later failure is retried, this one not.
    pub(crate) fn start(
        program: usize,
        site: Arc<SharedState>,
        counters: Arc<Counters>,
        sessions: &Rc<Sessions>,
    ) -> Result<Rc<VmOwner>, proxy_wasm_engine::StartError> {
        let guest = Rc::new(VmOwner {
            surroundings: Arc::new(Surroundings {
                clusters: Arc::clone(&site.clusters),
                bell: Notify::new(),
            }),
            backoff: Cell::new(Backoff::new(site.options.reload_backoff)),
            turns: site.clusters.turns(),
            program,
            site,
            counters,
            sessions: Rc::clone(sessions),
            vm: RefCell::new(None),
            generation: Cell::new(0),
            roots: RefCell::default(),
            ticks: RefCell::default(),
            answers: RefCell::default(),
            lines: RefCell::default(),
        });
        guest.install()?;
        spawn_local(Rc::clone(&guest).deliver_when_woken());
        Ok(guest)
    }

    /// What its failure means for connections.
    pub(crate) fn failure(&self) -> Failure {
        self.program().failure
    }

    /// Whether it is the balancer itself.
    pub(crate) fn is_balancer(&self) -> bool {
        self.program().is_balancer()
    }

    /// Whether it answers on the admin listener.
    pub(crate) fn has_admin(&self) -> bool {
        self.program().admin().is_some()
    }

    /// Opens a context for a connection and does with it what `open` does.
    /// `None`: there is no VM, or it just failed.
    pub(crate) fn open<R>(
        self: &Rc<Self>,
        plugin: usize,
        open: impl FnOnce(&mut Vm, ContextId) -> Result<(ContextId, R), Trap>,
    ) -> Option<(ContextHandle, R)> {
        let root = self.root(plugin)?;
        let generation = self.generation.get();
        let (context, outcome) = self.call(generation, |vm| open(vm, root))?;
        Some((
            ContextHandle {
                context,
                generation,
            },
            outcome,
        ))
    }

    /// Opens a context for a request on the admin listener.
    pub(crate) fn open_http(
        self: &Rc<Self>,
        info: HttpInfo,
    ) -> Option<(ContextHandle, oneshot::Receiver<Answer>)> {
        let root = self.root(self.program().admin()?)?;
        let generation = self.generation.get();
        let context = self.call(generation, |vm| vm.open_http(root, info))?;
        let (sender, answer) = oneshot::channel();
        self.answers.borrow_mut().insert(context, sender);
        Some((
            ContextHandle {
                context,
                generation,
            },
            answer,
        ))
    }

    /// Calls the VM about a context, then carries out what it asks for.
    /// `None`: that VM is gone, or failed just now.
    pub(crate) fn visit<R>(
        self: &Rc<Self>,
        seat: ContextHandle,
        visit: impl FnOnce(&mut Vm, ContextId) -> Result<R, Trap>,
    ) -> Option<R> {
        self.call(seat.generation, |vm| visit(vm, seat.context))
    }

    /// No answer is awaited any more.
    pub(crate) fn forget_answer(&self, seat: ContextHandle) {
        if seat.generation == self.generation.get() {
            self.answers.borrow_mut().remove(&seat.context);
        }
    }

    /// Tells the VM that others take its place: its roots may go when they like,
    /// and go on until then.
    pub(crate) fn retire(self: &Rc<Self>) {
        self.call(self.generation.get(), |vm| {
            for root in vm.roots() {
                vm.finish_root(root)?;
            }
            Ok(())
        });
    }

    /// Ends the VM: its roots say good-bye, those that tick after a last tick, for
    /// what they have not told yet.
    pub(crate) fn stop(self: &Rc<Self>) {
        let ticking: Vec<ContextId> = self.ticks.borrow().keys().copied().collect();
        self.call(self.generation.get(), |vm| {
            for root in ticking {
                vm.tick(root)?;
            }
            for root in vm.roots() {
                vm.finish_root(root)?;
            }
            Ok(())
        });
        self.clear();
    }

    fn program(&self) -> &CompiledVm {
        // The chain numbers its guests by the site's programs.
        &self.site.programs[self.program]
    }

    fn root(&self, plugin: usize) -> Option<ContextId> {
        self.roots.borrow().get(plugin).copied()
    }

    fn call<R>(
        self: &Rc<Self>,
        generation: u64,
        call: impl FnOnce(&mut Vm) -> Result<R, Trap>,
    ) -> Option<R> {
        if generation != self.generation.get() {
            return None;
        }
        let outcome = call(self.vm.borrow_mut().as_mut()?);
        match outcome {
            Ok(outcome) => {
                self.carry_out_all();
                Some(outcome)
            }
            Err(trap) => {
                self.replace(&trap);
                None
            }
        }
    }

    fn carry_out_all(self: &Rc<Self>) {
        loop {
            let effect = self.vm.borrow_mut().as_mut().and_then(Vm::next_effect);
            match effect {
                Some(effect) => self.carry_out(effect),
                None => return,
            }
        }
    }

    fn carry_out(self: &Rc<Self>, effect: Effect) {
        // The session of a connection, and this filter's place in its chain.
        let connection = |context| {
            let mut vm = self.vm.borrow_mut();
            let vm = vm.as_mut()?;
            let link = (*self.program().links.get(vm.plugin(context)?)?)?;
            let id = vm.tcp_mut(context)?.connection_id;
            Some((self.sessions.get(id)?, link))
        };
        match effect {
            Effect::Tick { root, period } => self.set_tick(root, period),
            Effect::HttpCall(call) => {
                spawn_local(Rc::clone(self).http_call(self.generation.get(), call));
            }
            Effect::ContinueDownstream(context) => {
                if let Some((session, link)) = connection(context) {
                    session.resume(Direction::Downstream, link);
                }
            }
            Effect::ContinueUpstream(context) => {
                if let Some((session, link)) = connection(context) {
                    session.resume(Direction::Upstream, link);
                }
            }
            Effect::CloseStream(context) => {
                if let Some((session, _)) = connection(context) {
                    session.order(CloseCommand::Close);
                }
            }
            Effect::LocalResponse {
                context,
                status,
                headers,
                body,
                ..
            } => {
                if let Some(answer) = self.answers.borrow_mut().remove(&context) {
                    // Whoever asked may have gone.
                    let _ = answer.send(Answer {
                        status,
                        headers,
                        body,
                    });
                }
            }
            Effect::ResetHttp(context) | Effect::ContinueRequest(context) => {
                self.answers.borrow_mut().remove(&context);
            }
            Effect::GrpcCall(call) => self.grpc_call(call, GrpcKind::Once),
            Effect::GrpcStream(call) => self.grpc_call(call, GrpcKind::Long),
            Effect::GrpcSend {
                token,
                message,
                end,
            } => {
                let mut lines = self.lines.borrow_mut();
                let Some(line) = lines.get_mut(&token) else {
                    return;
                };
                let sent = line.outbound.as_ref().map(|to| to.send(&message));
                // Dropped, it says that no more comes.
                line.outbound.take_if(|_| end == End::Last);
                if sent == Some(Err(TooMuch))
                    && let Some(line) = lines.remove(&token)
                {
                    line.task.abort();
                    let (guest, generation) = (Rc::clone(self), self.generation.get());
                    spawn_local(async move {
                        let words = "the other end does not keep up";
                        guest.call(generation, |vm| vm.grpc_close(token, GRPC_EXHAUSTED, words));
                    });
                }
            }
            Effect::GrpcClose(token) => {
                if let Some(line) = self.lines.borrow_mut().get_mut(&token) {
                    line.outbound = None;
                }
            }
            Effect::GrpcCancel(token) => {
                if let Some(line) = self.lines.borrow_mut().remove(&token) {
                    line.task.abort();
                }
            }
            // Sessions ask before each chunk.
            Effect::SkipData(_) => {}
            other => debug!(effect = ?other, "left out: it has no meaning for a TCP connection"),
        }
    }

    /// As in Envoy the next tick is due a period after the last one returned,
    /// and setting the period starts it anew.
    fn set_tick(self: &Rc<Self>, root: ContextId, period: Option<Duration>) {
        let mut ticks = self.ticks.borrow_mut();
        if let Some(old) = ticks.remove(&root) {
            old.abort();
        }
        let Some(period) = period else { return };
        let (guest, generation) = (Rc::clone(self), self.generation.get());
        let ticking = spawn_local(async move {
            loop {
                sleep(period).await;
                if guest.call(generation, |vm| vm.tick(root)).is_none() {
                    return;
                }
            }
        });
        ticks.insert(root, ticking.abort_handle());
    }

    async fn http_call(self: Rc<Self>, generation: u64, call: HttpCall) {
        let HttpCall {
            token,
            root,
            cluster,
            headers,
            body,
            timeout,
            ..
        } = call;
        let clusters = Arc::clone(&self.site.clusters);
        // The VM let the call pass because the cluster exists.
        let Some(endpoint) = clusters.endpoint(&cluster, &self.turns) else {
            return;
        };
        let reply = Call {
            headers,
            body,
            timeout,
        }
        .make(endpoint)
        .await;
        self.call(generation, |vm| vm.http_call_response(root, token, reply));
    }

    fn grpc_call(self: &Rc<Self>, call: GrpcCall, talk: GrpcKind) {
        let (outbound, outgoing) = grpc_call::outbound();
        let outbound = match talk {
            GrpcKind::Once => {
                // The first message always fits.
                let _ = outbound.send(&call.message);
                None
            }
            GrpcKind::Long => Some(outbound),
        };
        let (guest, generation, token) = (Rc::clone(self), self.generation.get(), call.token);
        let task = spawn_local(async move {
            let clusters = Arc::clone(&guest.site.clusters);
            // The VM let the call pass because the cluster exists.
            let Some(endpoint) = clusters.endpoint(&call.cluster, &guest.turns) else {
                return;
            };
            let mut message = None;
            let tell = |said| match (talk, said) {
                // As in Envoy: a call is over with its message, which the guest is
                // given when it is known that all went well.
                (GrpcKind::Once, GrpcEvent::Message(first)) => message = Some(first),
                (GrpcKind::Once, GrpcEvent::Initial(_) | GrpcEvent::Trailing(_)) => {}
                (GrpcKind::Once, GrpcEvent::Closed(0, _)) if message.is_some() => {
                    let message = message.take().unwrap_or_default();
                    guest.call(generation, |vm| vm.grpc_message(token, message));
                }
                (GrpcKind::Once, GrpcEvent::Closed(0, _)) => {
                    let words = "no message came";
                    guest.call(generation, |vm| vm.grpc_close(token, GRPC_INTERNAL, words));
                }
                (_, GrpcEvent::Closed(status, words)) => {
                    guest.call(generation, |vm| vm.grpc_close(token, status, &words));
                }
                (GrpcKind::Long, GrpcEvent::Initial(metadata)) => {
                    guest.call(generation, |vm| vm.grpc_initial_metadata(token, metadata));
                }
                (GrpcKind::Long, GrpcEvent::Message(message)) => {
                    guest.call(generation, |vm| vm.grpc_message(token, message));
                }
                (GrpcKind::Long, GrpcEvent::Trailing(metadata)) => {
                    guest.call(generation, |vm| vm.grpc_trailing_metadata(token, metadata));
                }
            };
            grpc_call::converse(&call, endpoint, outgoing, tell).await;
            if generation == guest.generation.get() {
                guest.lines.borrow_mut().remove(&token);
            }
        });
        let task = task.abort_handle();
        self.lines
            .borrow_mut()
            .insert(token, OpenGrpcCall { task, outbound });
    }

    async fn deliver_when_woken(self: Rc<Self>) {
        loop {
            self.surroundings.bell.notified().await;
            self.call(self.generation.get(), Vm::deliver);
        }
    }

    fn install(self: &Rc<Self>) -> Result<(), proxy_wasm_engine::StartError> {
        let CompiledVm { module, config, .. } = self.program();
        let world = Arc::clone(&self.surroundings) as Arc<dyn World>;
        let vm = Vm::start(module, config, &self.site.shared, world)?;
        *self.roots.borrow_mut() = vm.roots();
        *self.vm.borrow_mut() = Some(vm);
        self.counters.vm_running.fetch_add(1, Relaxed);
        self.carry_out_all();
        Ok(())
    }

    /// Takes the VM out and makes another one after a while.
    fn replace(self: &Rc<Self>, trap: &Trap) {
        self.clear();
        let program = self.program();
        match program.failure {
            // It looked at what passed them; nobody does now.
            Failure::Closed => self.sessions.order_all(CloseCommand::Close),
            Failure::Reload | Failure::Open => {
                for link in program.links.iter().flatten() {
                    self.sessions.resume_all(*link);
                }
            }
        }
        let failures = self.counters.vm_failures.fetch_add(1, Relaxed) + 1;
        let name = program.name();
        if program.failure == Failure::Open {
            error!(
                reason = %trap,
                failures,
                filter = name,
                "the filter failed; from now on connections pass without it"
            );
            return;
        }
        let mut backoff = self.backoff.get();
        let delay = backoff.next(Instant::now());
        self.backoff.set(backoff);
        let retry_in_ms = delay.as_millis() as u64;
        let meanwhile = match program.failure {
            _ if program.is_balancer() => "connections are spread over all replicas",
            Failure::Closed => "connections are refused",
            Failure::Reload | Failure::Open => "connections pass without it",
        };
        error!(
            reason = %trap,
            failures,
            retry_in_ms,
            filter = name,
            "the filter failed; until it is back, {meanwhile}"
        );
        spawn_local(Rc::clone(self).reinstall(delay));
    }

    async fn reinstall(self: Rc<Self>, mut delay: Duration) {
        loop {
            sleep(delay).await;
            match self.install() {
                Ok(()) => {
                    self.counters.vm_reloads.fetch_add(1, Relaxed);
                    info!(filter = self.program().name(), "the filter is back");
                    return;
                }
                Err(error) => {
                    let mut backoff = self.backoff.get();
                    delay = backoff.next(Instant::now());
                    self.backoff.set(backoff);
                    let filter = self.program().name();
                    warn!(%error, filter, retry_in_ms = delay.as_millis() as u64, "the filter does not start");
                }
            }
        }
    }

    fn clear(&self) {
        self.generation.set(self.generation.get() + 1);
        self.roots.borrow_mut().clear();
        if self.vm.take().is_some() {
            self.counters.vm_running.fetch_sub(1, Relaxed);
        }
        self.answers.borrow_mut().clear();
        self.ticks
            .borrow_mut()
            .drain()
            .for_each(|(_, tick)| tick.abort());
        self.lines
            .borrow_mut()
            .drain()
            .for_each(|(_, line)| line.task.abort());
    }
}

/// What the VM may know of this host.
struct Surroundings {
    clusters: Arc<Clusters>,
    bell: Notify,
}

impl World for Surroundings {
    fn has_cluster(&self, name: &str) -> bool {
        self.clusters.target(name).is_some()
    }

    fn wake(&self) {
        self.bell.notify_one();
    }
}

const GRPC_INTERNAL: u32 = 13;
const GRPC_EXHAUSTED: u32 = 8;

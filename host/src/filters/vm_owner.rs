//! A worker's VM: calls it, and replaces it when it fails.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use crate::caught_panic::CaughtPanic;
use crate::control::CloseCommand;
use crate::control::sessions::Sessions;
#[cfg(test)]
use crate::fault::{Fault, FaultSwitch};
use crate::filters::backoff::Backoff;
use crate::filters::caller::VmCaller;
use crate::filters::compiled_vm::CompiledVm;
use crate::filters::effects::{Effects, LocalResponse};
use crate::filters::environment::HostEnvironment;
use crate::metrics::Counters;
use crate::plan::Failure;
use crate::upstream::cluster::Clusters;
use proxy_wasm_engine::{ContextId, Environment, HttpInfo, Shared, StartError, Trap, Vm};

/// A worker's VM. There may be none for a while; calls then do nothing.
pub(crate) struct VmOwner {
    compiled: Arc<CompiledVm>,
    /// What the VMs of all workers share.
    vm_data: Shared,
    counters: Arc<Counters>,
    sessions: Rc<Sessions>,
    environment: Arc<HostEnvironment>,
    vm: RefCell<Option<Vm>>,
    /// Counts the VMs: what belongs to one that is gone is left alone.
    generation: Cell<u64>,
    /// By plugin.
    roots: RefCell<Vec<ContextId>>,
    effects: Effects,
    backoff: RefCell<Backoff>,
    /// Another worker's VM has taken its place.
    retired: Cell<bool>,
    #[cfg(test)]
    fault: FaultSwitch,
}

/// What a worker gives each of its VMs.
#[derive(Clone)]
pub(crate) struct VmResources {
    pub(crate) clusters: Arc<Clusters>,
    /// What the VMs of all workers share.
    pub(crate) vm_data: Shared,
    pub(crate) counters: Arc<Counters>,
    pub(crate) sessions: Rc<Sessions>,
    /// Before the first attempt to replace a VM that failed.
    pub(crate) reload_backoff: Duration,
    #[cfg(test)]
    pub(crate) fault: FaultSwitch,
}

/// A context, and the VM it lives in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContextHandle {
    context: ContextId,
    generation: u64,
}

impl VmOwner {
    /// Starts the first VM. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// When the VM does not start: a later failure is retried, this one not.
    pub(crate) fn start(
        compiled: Arc<CompiledVm>,
        resources: VmResources,
    ) -> Result<Rc<VmOwner>, StartError> {
        let VmResources {
            clusters,
            vm_data,
            counters,
            sessions,
            reload_backoff,
            #[cfg(test)]
            fault,
        } = resources;
        let effects = Effects::new(
            Arc::clone(&compiled),
            Rc::clone(&sessions),
            Arc::clone(&clusters),
        );
        #[cfg(test)]
        let effects = effects.with_fault(fault.clone());
        let owner = Rc::new(VmOwner {
            environment: Arc::new(HostEnvironment::new(clusters, compiled.log_source())),
            effects,
            #[cfg(test)]
            fault,
            backoff: RefCell::new(Backoff::new(reload_backoff)),
            retired: Cell::new(false),
            compiled,
            vm_data,
            counters,
            sessions,
            vm: RefCell::new(None),
            generation: Cell::new(0),
            roots: RefCell::default(),
        });
        owner.install()?;
        spawn_local(Rc::clone(&owner).deliver_when_woken());
        Ok(owner)
    }

    /// What its failure means for connections.
    pub(crate) fn failure(&self) -> Failure {
        self.compiled.failure
    }

    /// Whether it is the balancer itself.
    pub(crate) fn is_balancer(&self) -> bool {
        self.compiled.is_balancer()
    }

    /// Whether it answers on the admin listener.
    pub(crate) fn has_admin(&self) -> bool {
        self.compiled.admin().is_some()
    }

    /// Whether a context is one of the current VM's.
    pub(crate) fn has(&self, handle: ContextHandle) -> bool {
        handle.generation == self.generation.get()
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
    ) -> Option<(ContextHandle, oneshot::Receiver<LocalResponse>)> {
        let plugin = self.compiled.admin()?;
        let (handle, ()) = self.open(plugin, |vm, root| Ok((vm.open_http(root, info)?, ())))?;
        Some((handle, self.effects.response(handle.context)))
    }

    /// Calls the VM about a context, then carries out what it asks for.
    /// `None`: that VM is gone, or failed just now.
    pub(crate) fn visit<R>(
        self: &Rc<Self>,
        handle: ContextHandle,
        visit: impl FnOnce(&mut Vm, ContextId) -> Result<R, Trap>,
    ) -> Option<R> {
        self.call(handle.generation, |vm| visit(vm, handle.context))
    }

    /// No response is awaited any more.
    pub(crate) fn forget_response(&self, handle: ContextHandle) {
        if handle.generation == self.generation.get() {
            self.effects.forget_response(handle.context);
        }
    }

    /// Another worker's VM takes its place: its roots may end when they like, and
    /// go on until then.
    pub(crate) fn retire(self: &Rc<Self>) {
        self.retired.set(true);
        self.call(self.generation.get(), finish_roots);
    }

    /// Ends the VM. Roots with a timer tick once more, for what they have not
    /// shared yet.
    pub(crate) fn stop(self: &Rc<Self>) {
        let ticking = self.effects.ticking();
        self.call(self.generation.get(), |vm| {
            for root in ticking {
                vm.tick(root)?;
            }
            finish_roots(vm)
        });
        self.clear();
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
        let outcome = {
            let mut vm = self.vm.borrow_mut();
            let vm = vm.as_mut()?;
            CaughtPanic::catch(|| {
                #[cfg(test)]
                self.fault.strike(Fault::VmCall);
                call(vm)
            })
        };
        match outcome {
            Ok(Ok(outcome)) => {
                self.carry_out_effects();
                Some(outcome)
            }
            Ok(Err(trap)) => {
                self.replace(&trap);
                None
            }
            // What state it left the VM in, nobody knows.
            Err(panic) => {
                self.replace(&format_args!("the host panicked: {panic}"));
                None
            }
        }
    }

    fn carry_out_effects(self: &Rc<Self>) {
        let mut vm = self.vm.borrow_mut();
        let Some(vm) = vm.as_mut() else { return };
        while let Some(effect) = vm.next_effect() {
            let caller = GenerationCaller {
                owner: Rc::clone(self),
                generation: self.generation.get(),
            };
            self.effects.carry_out(vm, caller, effect);
        }
    }

    async fn deliver_when_woken(self: Rc<Self>) {
        loop {
            let delivering = pin!(async {
                self.environment.woken().await;
                self.call(self.generation.get(), Vm::deliver);
            });
            if let Err(panic) = CaughtPanic::catch_async(delivering).await {
                self.fail(self.generation.get(), &panic);
            }
            // A guest that leaves something for itself each time holds up nobody.
            yield_now().await;
        }
    }

    fn install(self: &Rc<Self>) -> Result<(), StartError> {
        let CompiledVm { module, config, .. } = &*self.compiled;
        let environment = Arc::clone(&self.environment) as Arc<dyn Environment>;
        let vm = Vm::start(module, config, &self.vm_data, environment)?;
        *self.roots.borrow_mut() = vm.roots();
        *self.vm.borrow_mut() = Some(vm);
        self.counters.vm_running.fetch_add(1, Relaxed);
        self.carry_out_effects();
        Ok(())
    }

    /// What was done for a VM panicked: another takes its place.
    fn fail(self: &Rc<Self>, generation: u64, panic: &CaughtPanic) {
        if generation == self.generation.get() && self.vm.borrow().is_some() {
            self.replace(&format_args!("the host panicked: {panic}"));
        }
    }

    /// Takes the VM out and makes another one after a while.
    fn replace(self: &Rc<Self>, reason: &dyn Display) {
        self.clear();
        let compiled = &self.compiled;
        match compiled.failure {
            // It inspected these connections; nothing does now.
            Failure::Closed => self.sessions.order_all(CloseCommand::Close),
            Failure::Reload | Failure::Open => {
                for place in compiled.places.iter().flatten() {
                    self.sessions.resume_all(place.slot);
                }
            }
        }
        let failures = self.counters.vm_failures.fetch_add(1, Relaxed) + 1;
        let filter = compiled.name();
        if compiled.failure == Failure::Open {
            error!(
                %reason,
                failures,
                filter,
                "the filter failed; from now on connections pass without it"
            );
            return;
        }
        if self.retired.get() {
            // One that starts again would probe as its old configuration says.
            warn!(%reason, failures, filter, "the filter failed; a reload has replaced it before");
            return;
        }
        let delay = self.backoff.borrow_mut().next(Instant::now());
        let retry_in_ms = delay.as_millis() as u64;
        let meanwhile = match compiled.failure {
            _ if compiled.is_balancer() => "connections are spread over all replicas",
            Failure::Closed => "connections are refused",
            Failure::Reload | Failure::Open => "connections pass without it",
        };
        error!(
            %reason,
            failures,
            retry_in_ms,
            filter,
            "the filter failed; until it is back, {meanwhile}"
        );
        spawn_local(Rc::clone(self).reinstall(delay));
    }

    async fn reinstall(self: Rc<Self>, mut delay: Duration) {
        let filter = self.compiled.name();
        loop {
            sleep(delay).await;
            if self.retired.get() {
                return;
            }
            let installed = CaughtPanic::catch(|| self.install()).map_err(|panic| {
                // It may be half there.
                self.clear();
                panic.to_string()
            });
            match installed.and_then(|installed| installed.map_err(|error| error.to_string())) {
                Ok(()) => {
                    self.counters.vm_reloads.fetch_add(1, Relaxed);
                    if self.is_balancer() {
                        self.sessions.vm_replaced();
                    }
                    info!(filter, "the filter is back");
                    return;
                }
                Err(error) => {
                    delay = self.backoff.borrow_mut().next(Instant::now());
                    let retry_in_ms = delay.as_millis() as u64;
                    warn!(error, filter, retry_in_ms, "the filter does not start");
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
        self.effects.clear();
    }
}

impl Drop for VmOwner {
    fn drop(&mut self) {
        if self.vm.get_mut().is_some() {
            self.counters.vm_running.fetch_sub(1, Relaxed);
        }
    }
}

/// Calls one of the VMs an owner has had, as long as it is the current one.
#[derive(Clone)]
struct GenerationCaller {
    owner: Rc<VmOwner>,
    generation: u64,
}

impl VmCaller for GenerationCaller {
    fn call(&self, call: impl FnOnce(&mut Vm) -> Result<(), Trap>) -> Option<()> {
        self.owner.call(self.generation, call)
    }

    fn is_current(&self) -> bool {
        self.generation == self.owner.generation.get()
    }

    fn fail(&self, panic: &CaughtPanic) {
        self.owner.fail(self.generation, panic);
    }
}

fn finish_roots(vm: &mut Vm) -> Result<(), Trap> {
    for root in vm.roots() {
        vm.finish_root(root)?;
    }
    Ok(())
}

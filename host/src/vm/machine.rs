//! One guest at work.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use wasmtime::{Func, Store, TypedFunc, WasmParams, WasmResults};

use super::abi::{Action, BufferKind, CallToken, ContextId, MapKind};
use super::config::{VmConfig, World};
use super::context::{Access, Kind, Life as RootLife, Parent, Root};
use super::effect::Effect;
use super::engine::{self, Life, Module};
use super::guest::Guest;
use super::observe::{Arguments, Observer, Outcome};
use super::shared::Shared;
use super::state::{State, Turn};
use super::trap::{Circumstances, LoadError, StartError, Trap, TrapReason};

/// One proxy-wasm virtual machine.
///
/// Its owner calls it, then drains [`Vm::next_effect`]. After a [`Trap`] every
/// further call returns that trap again. A context that is not there (closed
/// already, or never was) is no error: the callback is left out.
pub struct Vm {
    pub(super) guest: Guest,
    pub(super) core: Core,
    roots: Vec<ContextId>,
    _life: Life,
}

/// The running part, apart from the guest's exports, so that one of these can
/// be called while the other is borrowed.
pub(super) struct Core {
    store: Store<State>,
    limit: Duration,
    ticks: u64,
    main: Option<Func>,
    dead: Option<Trap>,
}

impl Vm {
    /// Instantiates the guest and starts its plugins in order.
    ///
    /// # Errors
    /// When the guest does not link, traps, or refuses its configuration.
    pub fn start(
        module: &Module,
        config: &VmConfig,
        shared: &Shared,
        world: Arc<dyn World>,
    ) -> Result<Vm, StartError> {
        let life = module.engine().live();
        let state = State::new(config, module.abi(), shared, world);
        let mut store = Store::new(module.engine().wasm(), state);
        store.limiter(|state| &mut state.limits);
        let limit = config.callback_limit;
        let mut core = Core {
            store,
            limit,
            ticks: engine::ticks(limit),
            main: None,
            dead: None,
        };
        let guest = core.instantiate(module)?;
        let mut vm = Vm {
            guest,
            core,
            roots: Vec::new(),
            _life: life,
        };
        vm.initialize()?;
        for index in 0..config.plugins.len() {
            vm.start_plugin(index)?;
        }
        Ok(vm)
    }

    /// The root context of the first plugin with this root id.
    pub fn root(&self, root_id: &str) -> Option<ContextId> {
        let state = self.core.state();
        self.roots.iter().copied().find(|id| {
            let plugin = state.contexts.get(*id).map(|context| context.plugin);
            plugin
                .and_then(|index| state.plugins.get(index))
                .is_some_and(|p| p.root_id == root_id)
        })
    }

    /// Root contexts alive, in the order of the configuration's plugins.
    pub fn roots(&self) -> Vec<ContextId> {
        self.roots.clone()
    }

    /// What the guest asked for, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.core.state_mut().effects.pop_front()
    }

    /// The trap that ended this VM.
    pub fn trap(&self) -> Option<&Trap> {
        self.core.dead.as_ref()
    }

    /// Linear memory in use, bytes.
    pub fn memory_size(&mut self) -> usize {
        let memory = self.core.state().memory;
        memory.map_or(0, |memory| memory.data_size(&self.core.store))
    }

    /// Contexts alive, root contexts included.
    pub fn context_count(&self) -> usize {
        self.core.state().contexts.len()
    }

    /// Calls the guest has under way, HTTP and gRPC.
    pub fn open_calls(&self) -> Vec<CallToken> {
        let calls = &self.core.state().calls;
        calls
            .http
            .keys()
            .chain(calls.grpc.keys())
            .copied()
            .collect()
    }

    /// `on_tick`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn tick(&mut self, root: ContextId) -> Result<(), Trap> {
        if self.core.state().contexts.root(root).is_none() {
            return self.core.alive();
        }
        self.core
            .call("proxy_on_tick", root, &self.guest.tick, (root.0,))?;
        self.settle()
    }

    /// `on_queue_ready` for each item that arrived since the last time.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn deliver(&mut self) -> Result<(), Trap> {
        self.core.alive()?;
        let inbox = self.core.state().inbox.clone();
        while let Some((root, queue)) = inbox.next() {
            if self.core.state().contexts.root(root).is_some() {
                let ready = &self.guest.queue_ready;
                self.core
                    .call("proxy_on_queue_ready", root, ready, (root.0, queue.0))?;
                self.settle()?;
            }
        }
        Ok(())
    }

    /// Ends a root context: `on_done`, then `on_delete` unless the guest wants
    /// to work on until it calls `proxy_done`.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn finish_root(&mut self, root: ContextId) -> Result<Finished, Trap> {
        self.core.alive()?;
        match self
            .core
            .state_mut()
            .contexts
            .root_mut(root)
            .map(|root| root.life)
        {
            None => return Ok(Finished::Now),
            Some(RootLife::Finishing | RootLife::Finished) => return Ok(Finished::Later),
            Some(RootLife::Running) => {}
        }
        // Before the call: the guest may say `proxy_done` in it.
        self.set_life(root, RootLife::Finishing);
        let done = self
            .core
            .call("proxy_on_done", root, &self.guest.done, (root.0,))?;
        if done != Some(0) {
            self.core
                .state_mut()
                .finished
                .retain(|finished| *finished != root);
            self.delete_root(root)?;
        }
        self.settle()?;
        let gone = self.core.state().contexts.root(root).is_none();
        Ok(if gone { Finished::Now } else { Finished::Later })
    }

    fn set_life(&mut self, root: ContextId, life: RootLife) {
        if let Some(root) = self.core.state_mut().contexts.root_mut(root) {
            root.life = life;
        }
    }

    /// What follows from a callback once it returned.
    pub(super) fn settle(&mut self) -> Result<(), Trap> {
        while let Some(root) = self.core.state_mut().finished.pop() {
            self.delete_root(root)?;
        }
        Ok(())
    }

    fn delete_root(&mut self, root: ContextId) -> Result<(), Trap> {
        self.core
            .call("proxy_on_delete", root, &self.guest.delete, (root.0,))?;
        let state = self.core.state_mut();
        state.contexts.remove(root);
        state.calls.forget(root);
        self.roots.retain(|known| *known != root);
        Ok(())
    }

    /// `_initialize` and then `main`, or else `_start`.
    fn initialize(&mut self) -> Result<(), StartError> {
        let (guest, core) = (&self.guest, &mut self.core);
        let nobody = ContextId(0);
        if guest.initialize.is_some() {
            core.call("_initialize", nobody, &guest.initialize, ())?;
            core.call_main()?;
        } else {
            core.call("_start", nobody, &guest.start, ())?;
        }
        core.state_mut().gate.open();
        Ok(())
    }

    fn start_plugin(&mut self, index: usize) -> Result<(), StartError> {
        let (guest, core) = (&self.guest, &mut self.core);
        let state = core.state_mut();
        let root = state.contexts.add(
            Parent::None { plugin: index },
            Kind::Root(Box::<Root>::default()),
        );
        self.roots.push(root);
        let plugin = state.plugins.get(index);
        let name = plugin.map_or_else(String::new, |plugin| plugin.name.clone());
        let size = plugin.map_or(0, |plugin| plugin.configuration.len() as u32);
        let vm_size = state.vm_configuration.len() as u32;

        core.call(
            "proxy_on_context_create",
            root,
            &guest.context_create,
            (root.0, 0),
        )?;
        let started = core.call(
            "proxy_on_vm_start",
            root,
            &guest.vm_start,
            (root.0, vm_size),
        )?;
        if started == Some(0) {
            return Err(StartError::VmRefused { plugin: name });
        }
        core.state_mut().turn.configuring = true;
        let arguments = (root.0, size);
        let valid = core.call(
            "proxy_validate_configuration",
            root,
            &guest.validate,
            arguments,
        )?;
        core.state_mut().turn.configuring = true;
        let configured = match valid {
            Some(0) => Some(0),
            _ => core.call("proxy_on_configure", root, &guest.configure, arguments)?,
        };
        core.state_mut().turn.configuring = false;
        if configured == Some(0) {
            return Err(StartError::PluginRefused { plugin: name });
        }
        Ok(())
    }
}

impl Core {
    pub(super) fn state(&self) -> &State {
        self.store.data()
    }

    pub(super) fn state_mut(&mut self) -> &mut State {
        self.store.data_mut()
    }

    /// # Errors
    /// The trap that ended the VM.
    pub(super) fn alive(&self) -> Result<(), Trap> {
        match &self.dead {
            None => Ok(()),
            Some(trap) => Err(trap.clone()),
        }
    }

    /// Runs one callback for a context; `None` when the guest does not have it.
    ///
    /// # Errors
    /// When the guest traps, now or before.
    #[inline]
    pub(super) fn call<P: WasmParams + Arguments, R: WasmResults + Outcome>(
        &mut self,
        name: &'static str,
        context: ContextId,
        callback: &Option<TypedFunc<P, R>>,
        arguments: P,
    ) -> Result<Option<R>, Trap> {
        self.alive()?;
        let Some(callback) = callback else {
            return Ok(None);
        };
        let state = self.store.data_mut();
        state.turn.context = context;
        state.turn.effective = None;
        state.limits.refused = false;
        state.asked = 0;
        state.log.last_words = None;
        self.store.set_epoch_deadline(self.ticks);
        if let Some(observer) = self.store.data().observer.clone() {
            return self.watched(&observer, name, callback, arguments).map(Some);
        }
        match callback.call(&mut self.store, arguments) {
            Ok(result) => Ok(Some(result)),
            Err(error) => Err(self.die(name, &error)),
        }
    }

    /// Runs one callback under the eyes of an observer.
    #[cold]
    fn watched<P: WasmParams + Arguments, R: WasmResults + Outcome>(
        &mut self,
        observer: &Arc<dyn Observer>,
        name: &'static str,
        callback: &TypedFunc<P, R>,
        arguments: P,
    ) -> Result<R, Trap> {
        let result = match observer.enter(name, arguments.words().as_ref()) {
            None => callback.call(&mut self.store, arguments),
            Some(reason) => Err(self.mishap(reason)),
        };
        let result = result.map_err(|error| self.die(name, &error));
        observer.leave(name, result.as_ref().map(Outcome::word));
        result
    }

    /// What wasmtime says when a guest ends so.
    fn mishap(&mut self, reason: TrapReason) -> wasmtime::Error {
        let trap = match reason {
            TrapReason::Time => wasmtime::Trap::Interrupt,
            TrapReason::Stack => wasmtime::Trap::StackOverflow,
            TrapReason::Memory => {
                self.store.data_mut().limits.refused = true;
                wasmtime::Trap::UnreachableCodeReached
            }
            _ => wasmtime::Trap::UnreachableCodeReached,
        };
        trap.into()
    }

    /// Lets the guest see and change `data` while `body` runs.
    pub(super) fn with_data<R>(
        &mut self,
        kind: BufferKind,
        data: &mut BytesMut,
        body: impl FnOnce(&mut Core) -> R,
    ) -> R {
        self.state_mut().turn.data = Some((kind, std::mem::take(data)));
        let result = body(self);
        if let Some((_, changed)) = self.state_mut().turn.data.take() {
            *data = changed;
        }
        result
    }

    /// Itself, when the context is an HTTP stream.
    ///
    /// # Errors
    /// When the VM is dead.
    pub(super) fn for_http(&mut self, context: ContextId) -> Result<Option<&mut Core>, Trap> {
        self.alive()?;
        let http = self.state_mut().contexts.http_mut(context).is_some();
        Ok(http.then_some(self))
    }

    /// Shows the guest a map of an HTTP stream: how many entries it has.
    ///
    /// # Errors
    /// When the VM is dead.
    pub(super) fn reveal(
        &mut self,
        context: ContextId,
        kind: MapKind,
    ) -> Result<Option<u32>, Trap> {
        self.alive()?;
        let state = self.state_mut();
        state.set_access(context, kind, Access::Write);
        let http = state.contexts.http_mut(context);
        Ok(http.map(|http| http.map(kind).map_or(0, |map| map.len() as u32)))
    }

    /// Notes why the VM is of no use any more, and forgets what it asked for.
    fn die(&mut self, callback: &'static str, error: &wasmtime::Error) -> Trap {
        let state = self.store.data_mut();
        let around = Circumstances {
            callback,
            limit: self.limit,
            memory_limit: state.limits.memory(),
            refused: state.limits.refused,
            last_words: state.log.last_words.take(),
        };
        state.effects.clear();
        state.calls = super::state::Calls::default();
        let data = state.turn.data.take();
        state.turn = Turn {
            data,
            ..Turn::default()
        };
        let trap = Trap::new(error, around);
        self.dead = Some(trap.clone());
        trap
    }

    fn instantiate(&mut self, module: &Module) -> Result<Guest, StartError> {
        self.store.set_epoch_deadline(self.ticks);
        let instance = match module.linked().instantiate(&mut self.store) {
            Ok(instance) => instance,
            Err(error) => return Err(self.stillborn(&error)),
        };
        let allowed = self.state().gate.allowed();
        let guest = Guest::find(&instance, &mut self.store, allowed.as_deref())?;
        let allocate = guest
            .malloc
            .clone()
            .or_else(|| guest.memory_allocate.clone());
        let allocate = allocate.ok_or(StartError::NoAllocator)?;
        let allocate = allocate
            .func()
            .typed(&self.store)
            .map_err(|error| StartError::Load(LoadError::Export(error.to_string())))?;
        let memory = instance.get_memory(&mut self.store, "memory");
        let state = self.store.data_mut();
        state.allocate = Some(allocate);
        state.memory = memory;
        self.main = instance
            .get_func(&mut self.store, "main")
            .or_else(|| instance.get_func(&mut self.store, "__main_void"));
        Ok(guest)
    }

    /// Instantiation runs the guest's start section, so it may fail like a callback.
    fn stillborn(&mut self, error: &wasmtime::Error) -> StartError {
        let trapped = error.downcast_ref::<wasmtime::Trap>().is_some()
            || error.downcast_ref::<super::gate::Forbidden>().is_some();
        if trapped {
            return StartError::Trap(self.die("start section", error));
        }
        StartError::Load(LoadError::Invalid(format!("{error:#}")))
    }

    /// C's `main`, whichever shape the compiler gave it.
    fn call_main(&mut self) -> Result<(), Trap> {
        let Some(main) = self.main else { return Ok(()) };
        let nobody = ContextId(0);
        if let Ok(main) = main.typed::<(u32, u32), u32>(&self.store) {
            self.call("main", nobody, &Some(main), (0, 0))?;
        } else if let Ok(main) = main.typed::<(), u32>(&self.store) {
            self.call("main", nobody, &Some(main), ())?;
        } else if let Ok(main) = main.typed::<(), ()>(&self.store) {
            self.call("main", nobody, &Some(main), ())?;
        }
        Ok(())
    }
}

/// Whether a root context is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is gone.
    Now,
    /// It works on; gone when [`Vm::roots`] no longer names it.
    Later,
}

/// Any answer but 0 holds the stream.
pub(super) fn action(answer: Option<u32>) -> Action {
    match answer {
        None | Some(0) => Action::Continue,
        Some(_) => Action::Pause,
    }
}

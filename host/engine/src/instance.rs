//! An instance of a guest and its guards: time, memory, and that none runs after a trap.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use wasmtime::{Func, Store, TypedFunc, WasmParams, WasmResults};

use super::abi::{BufferKind, ContextId, MapKind};
use super::context::{MapAccess, Root};
use super::engine::Module;
use super::epoch;
use super::exports::{Callback, Exports};
use super::observe::{CallbackArguments, CallbackResult, Observer};
use super::open_calls::OpenCalls;
use super::state::{CallScope, VmState};
use super::trap::{LoadError, StartError, Trap, TrapContext, TrapReason};

/// The running part, apart from the guest's exports, so that one of these can
/// be called while the other is borrowed.
pub(super) struct Instance {
    store: Store<VmState>,
    limit: Duration,
    ticks: u64,
    main: Option<Func>,
    dead: Option<Trap>,
}

impl Instance {
    pub(super) fn new(module: &Module, state: VmState, limit: Duration) -> Instance {
        let mut store = Store::new(module.engine().wasm(), state);
        store.limiter(|state| &mut state.limits);
        Instance {
            store,
            limit,
            ticks: epoch::ticks(limit),
            main: None,
            dead: None,
        }
    }

    pub(super) fn memory_size(&self) -> usize {
        self.state()
            .memory
            .map_or(0, |memory| memory.data_size(&self.store))
    }

    /// The trap that ended the VM.
    pub(super) fn trap(&self) -> Option<&Trap> {
        self.dead.as_ref()
    }

    pub(super) fn state(&self) -> &VmState {
        self.store.data()
    }

    pub(super) fn state_mut(&mut self) -> &mut VmState {
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
    pub(super) fn call<P: WasmParams + CallbackArguments, R: WasmResults + CallbackResult>(
        &mut self,
        context: ContextId,
        callback: &Callback<P, R>,
        arguments: P,
    ) -> Result<Option<R>, Trap> {
        self.alive()?;
        let name = callback.name;
        let Some(callback) = &callback.function else {
            return Ok(None);
        };
        let state = self.store.data_mut();
        state.scope.context = context;
        state.scope.effective = None;
        state.scope.stop = false;
        state.limits.refused = false;
        state.recorded_bytes = 0;
        state.log.last_critical_line = None;
        self.store.set_epoch_deadline(self.ticks);
        if let Some(observer) = self.store.data().observer.clone() {
            return self.watched(&observer, name, callback, arguments).map(Some);
        }
        match callback.call(&mut self.store, arguments) {
            Ok(result) => Ok(Some(result)),
            Err(error) => Err(self.die(name, &error)),
        }
    }

    /// As [`Instance::call`], with an observer.
    #[cold]
    fn watched<P: WasmParams + CallbackArguments, R: WasmResults + CallbackResult>(
        &mut self,
        observer: &Arc<dyn Observer>,
        name: &'static str,
        callback: &TypedFunc<P, R>,
        arguments: P,
    ) -> Result<R, Trap> {
        let result = match observer.enter(name, arguments.to_u32s().as_ref()) {
            None => callback.call(&mut self.store, arguments),
            Some(reason) => Err(self.error_of(reason)),
        };
        let result = result.map_err(|error| self.die(name, &error));
        observer.leave(name, result.as_ref().map(CallbackResult::to_u32));
        result
    }

    /// The error of wasmtime for a trap of this reason.
    fn error_of(&mut self, reason: TrapReason) -> wasmtime::Error {
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

    /// As [`Instance::call`], about something its root can read until it returns.
    pub(super) fn call_with<T, P: WasmParams + CallbackArguments>(
        &mut self,
        root: ContextId,
        slot: fn(&mut Root) -> &mut Option<T>,
        value: T,
        callback: &Callback<P, ()>,
        arguments: P,
    ) -> Result<(), Trap> {
        if let Some(root) = self.state_mut().contexts.root_mut(root) {
            *slot(root) = Some(value);
        }
        self.call(root, callback, arguments)?;
        if let Some(root) = self.state_mut().contexts.root_mut(root) {
            *slot(root) = None;
        }
        Ok(())
    }

    /// Lets the guest see and change `data` while `body` runs.
    pub(super) fn with_data<R>(
        &mut self,
        kind: BufferKind,
        data: &mut BytesMut,
        body: impl FnOnce(&mut Instance) -> R,
    ) -> R {
        self.state_mut().scope.data = Some((kind, std::mem::take(data)));
        let result = body(self);
        if let Some((_, changed)) = self.state_mut().scope.data.take() {
            *data = changed;
        }
        result
    }

    /// Itself, when the context is an HTTP stream.
    ///
    /// # Errors
    /// When the VM is dead.
    pub(super) fn for_http(&mut self, context: ContextId) -> Result<Option<&mut Instance>, Trap> {
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
        state.set_access(context, kind, MapAccess::Write);
        let http = state.contexts.http_mut(context);
        Ok(http.map(|http| http.map(kind).map_or(0, |map| map.len() as u32)))
    }

    /// Ends the VM: keeps the trap, and drops what the guest asked for.
    fn die(&mut self, callback: &'static str, error: &wasmtime::Error) -> Trap {
        let state = self.store.data_mut();
        let context = TrapContext {
            callback,
            limit: self.limit,
            memory_limit: state.limits.memory(),
            refused: state.limits.refused,
            last_critical_line: state.log.last_critical_line.take(),
        };
        state.effects.clear();
        state.calls = OpenCalls::default();
        let data = state.scope.data.take();
        state.scope = CallScope {
            data,
            ..CallScope::default()
        };
        let trap = Trap::new(error, context);
        self.dead = Some(trap.clone());
        trap
    }

    /// # Errors
    /// When the guest does not link or crashes at once.
    pub(super) fn instantiate(&mut self, module: &Module) -> Result<Exports, StartError> {
        self.store.set_epoch_deadline(self.ticks);
        let instance = match module.linked().instantiate(&mut self.store) {
            Ok(instance) => instance,
            Err(error) => return Err(self.start_failed(&error)),
        };
        let allowed = self.state().policy.allowed();
        let exports = Exports::find(&instance, &mut self.store, allowed.as_deref())?;
        let malloc = exports.malloc.function.clone();
        let allocate = malloc
            .or_else(|| exports.memory_allocate.function.clone())
            .ok_or(StartError::NoAllocator)?;
        let memory = instance.get_memory(&mut self.store, "memory");
        let state = self.store.data_mut();
        state.allocate = Some(allocate);
        state.memory = memory;
        self.main = instance
            .get_func(&mut self.store, "main")
            .or_else(|| instance.get_func(&mut self.store, "__main_void"));
        Ok(exports)
    }

    /// Instantiation runs the guest's start section, so it may fail like a callback.
    fn start_failed(&mut self, error: &wasmtime::Error) -> StartError {
        let trapped = error.downcast_ref::<wasmtime::Trap>().is_some()
            || error
                .downcast_ref::<super::policy::ForbiddenCall>()
                .is_some();
        if trapped {
            return StartError::Trap(self.die("start section", error));
        }
        StartError::Load(LoadError::Invalid(format!("{error:#}")))
    }

    /// C's `main`, whichever shape the compiler gave it.
    pub(super) fn call_main(&mut self) -> Result<(), Trap> {
        let Some(main) = self.main else { return Ok(()) };
        if let Ok(main) = main.typed::<(u32, u32), u32>(&self.store) {
            self.run_main(main, (0, 0))
        } else if let Ok(main) = main.typed::<(), u32>(&self.store) {
            self.run_main(main, ())
        } else if let Ok(main) = main.typed::<(), ()>(&self.store) {
            self.run_main(main, ())
        } else {
            Ok(())
        }
    }

    fn run_main<P: WasmParams + CallbackArguments, R: WasmResults + CallbackResult>(
        &mut self,
        main: TypedFunc<P, R>,
        arguments: P,
    ) -> Result<(), Trap> {
        let main = Callback {
            name: "main",
            function: Some(main),
        };
        self.call(ContextId::NONE, &main, arguments).map(drop)
    }
}

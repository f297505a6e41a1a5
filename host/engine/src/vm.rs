//! One guest at work.

use std::sync::Arc;

use super::abi::{Action, CallToken, ContextId};
use super::config::{Environment, VmConfig};
use super::context::{Kind, Parent, Root, RootPhase};
use super::effect::Effect;
use super::engine::{ClockGuard, Module};
use super::exports::Exports;
use super::instance::Instance;
use super::shared::Shared;
use super::state::VmState;
use super::trap::{StartError, Trap};

/// One proxy-wasm virtual machine.
///
/// Its owner calls it, then drains [`Vm::next_effect`]. After a [`Trap`] every
/// further call returns that trap again. A context that is not there (closed
/// already, or never was) is no error: the callback is left out.
pub struct Vm {
    pub(super) exports: Exports,
    pub(super) instance: Instance,
    roots: Vec<ContextId>,
    _clock: ClockGuard,
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
        environment: Arc<dyn Environment>,
    ) -> Result<Vm, StartError> {
        let clock = module.engine().keep_clock();
        let state = VmState::new(config, module.abi(), shared, environment);
        let mut instance = Instance::new(module, state, config.callback_limit);
        let exports = instance.instantiate(module)?;
        let mut vm = Vm {
            exports,
            instance,
            roots: Vec::new(),
            _clock: clock,
        };
        vm.initialize()?;
        for index in 0..config.plugins.len() {
            vm.start_plugin(index)?;
        }
        Ok(vm)
    }

    /// The root context of the first plugin with this root id.
    pub fn root(&self, root_id: &str) -> Option<ContextId> {
        let state = self.instance.state();
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

    /// Which of the configuration's plugins a context belongs to.
    pub fn plugin(&self, context: ContextId) -> Option<usize> {
        let context = self.instance.state().contexts.get(context)?;
        Some(context.plugin)
    }

    /// What the guest asked for, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.instance.state_mut().effects.pop_front()
    }

    /// The trap that ended this VM.
    pub fn trap(&self) -> Option<&Trap> {
        self.instance.trap()
    }

    /// Linear memory in use, bytes.
    pub fn memory_size(&mut self) -> usize {
        self.instance.memory_size()
    }

    /// Contexts alive, root contexts included.
    pub fn context_count(&self) -> usize {
        self.instance.state().contexts.len()
    }

    /// Calls the guest has under way, HTTP and gRPC.
    pub fn open_calls(&self) -> Vec<CallToken> {
        let calls = &self.instance.state().calls;
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
        if self.instance.state().contexts.root(root).is_none() {
            return self.instance.alive();
        }
        self.instance
            .call("proxy_on_tick", root, &self.exports.tick, (root.0,))?;
        self.settle()
    }

    /// `on_queue_ready` for each item that arrived since the last time.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn deliver(&mut self) -> Result<(), Trap> {
        self.instance.alive()?;
        let inbox = self.instance.state().inbox.clone();
        while let Some((root, queue)) = inbox.next() {
            if self.instance.state().contexts.root(root).is_some() {
                let ready = &self.exports.queue_ready;
                self.instance
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
        self.instance.alive()?;
        match self
            .instance
            .state_mut()
            .contexts
            .root_mut(root)
            .map(|root| root.phase)
        {
            None => return Ok(Finished::Now),
            Some(RootPhase::Finishing | RootPhase::Finished) => return Ok(Finished::Later),
            Some(RootPhase::Running) => {}
        }
        // Before the call: the guest may say `proxy_done` in it.
        self.set_phase(root, RootPhase::Finishing);
        let done = self
            .instance
            .call("proxy_on_done", root, &self.exports.done, (root.0,))?;
        if done != Some(0) {
            self.instance
                .state_mut()
                .finished
                .retain(|finished| *finished != root);
            self.delete_root(root)?;
        }
        self.settle()?;
        let gone = self.instance.state().contexts.root(root).is_none();
        Ok(if gone { Finished::Now } else { Finished::Later })
    }

    fn set_phase(&mut self, root: ContextId, phase: RootPhase) {
        if let Some(root) = self.instance.state_mut().contexts.root_mut(root) {
            root.phase = phase;
        }
    }

    /// What follows from a callback once it returned.
    pub(super) fn settle(&mut self) -> Result<(), Trap> {
        while let Some(root) = self.instance.state_mut().finished.pop() {
            self.delete_root(root)?;
        }
        Ok(())
    }

    fn delete_root(&mut self, root: ContextId) -> Result<(), Trap> {
        self.instance
            .call("proxy_on_delete", root, &self.exports.delete, (root.0,))?;
        let state = self.instance.state_mut();
        state.contexts.remove(root);
        state.calls.forget(root);
        self.roots.retain(|known| *known != root);
        Ok(())
    }

    /// `_initialize` and then `main`, or else `_start`.
    fn initialize(&mut self) -> Result<(), StartError> {
        let (exports, instance) = (&self.exports, &mut self.instance);
        let nobody = ContextId(0);
        if exports.initialize.is_some() {
            instance.call("_initialize", nobody, &exports.initialize, ())?;
            instance.call_main()?;
        } else {
            instance.call("_start", nobody, &exports.start, ())?;
        }
        instance.state_mut().policy.finish_start();
        Ok(())
    }

    fn start_plugin(&mut self, index: usize) -> Result<(), StartError> {
        let (exports, instance) = (&self.exports, &mut self.instance);
        let state = instance.state_mut();
        let root = state.contexts.add(
            Parent::None { plugin: index },
            Kind::Root(Box::<Root>::default()),
        );
        self.roots.push(root);
        let plugin = state.plugins.get(index);
        let name = plugin.map_or_else(String::new, |plugin| plugin.name.clone());
        let size = plugin.map_or(0, |plugin| plugin.configuration.len() as u32);
        let vm_size = state.vm_configuration.len() as u32;

        instance.call(
            "proxy_on_context_create",
            root,
            &exports.context_create,
            (root.0, 0),
        )?;
        let started = instance.call(
            "proxy_on_vm_start",
            root,
            &exports.vm_start,
            (root.0, vm_size),
        )?;
        if started == Some(0) {
            return Err(StartError::VmRefused { plugin: name });
        }
        instance.state_mut().scope.configuring = true;
        let arguments = (root.0, size);
        let valid = instance.call(
            "proxy_validate_configuration",
            root,
            &exports.validate,
            arguments,
        )?;
        instance.state_mut().scope.configuring = true;
        let configured = match valid {
            Some(0) => Some(0),
            _ => instance.call("proxy_on_configure", root, &exports.configure, arguments)?,
        };
        instance.state_mut().scope.configuring = false;
        if configured == Some(0) {
            return Err(StartError::PluginRefused { plugin: name });
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

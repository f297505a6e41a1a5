//! One proxy-wasm virtual machine and its root contexts.

use super::abi::{CallToken, ContextId};
use super::context::RootPhase;
use super::effect::Effect;
use super::epoch::ClockGuard;
use super::exports::Exports;
use super::instance::Instance;
use super::trap::Trap;

/// One proxy-wasm virtual machine.
///
/// Its owner calls it, then drains [`Vm::next_effect`]. After a [`Trap`] every
/// further call returns that trap again. A context that is not there (closed
/// already, or never was) is no error: the callback is left out.
pub struct Vm {
    pub(super) exports: Exports,
    pub(super) instance: Instance,
    pub(super) roots: Vec<ContextId>,
    pub(super) _clock: ClockGuard,
}

impl Vm {
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
        self.instance.call(root, &self.exports.tick, (root.0,))?;
        self.settle()
    }

    /// `on_queue_ready` for each item that waits. For what arrives meanwhile, be it
    /// from the guest itself, [`Environment::wake`](super::Environment::wake) asks to
    /// be called again.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn deliver(&mut self) -> Result<(), Trap> {
        self.instance.alive()?;
        let inbox = self.instance.state().inbox.clone();
        for (root, queue) in inbox.take() {
            if self.instance.state().contexts.root(root).is_some() {
                let arguments = (root.0, queue.0);
                self.instance
                    .call(root, &self.exports.queue_ready, arguments)?;
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
        let done = self.instance.call(root, &self.exports.done, (root.0,))?;
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
        self.instance.call(root, &self.exports.delete, (root.0,))?;
        let state = self.instance.state_mut();
        state.contexts.remove(root);
        state.calls.forget(root);
        self.roots.retain(|known| *known != root);
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

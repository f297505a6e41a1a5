//! What connections and requests have in common: they begin, they are over.

use super::abi::ContextId;
use super::context::{Kind, Parent};
use super::filter_state::{FilterStateValue, WriteAccess};
use super::property;
use super::trap::Trap;
use super::vm::Vm;

impl Vm {
    /// What the guest set with `set_envoy_filter_state`, such as `envoy.tcp_proxy.cluster`.
    pub fn filter_state(&self, context: ContextId, key: &str) -> Option<&str> {
        self.instance
            .state()
            .contexts
            .get(context)?
            .state
            .object(key)
    }

    /// Everything the guest set with `set_envoy_filter_state`, by key.
    pub fn filter_states(&self, context: ContextId) -> impl Iterator<Item = (&'static str, &str)> {
        crate::filter_state::object_keys()
            .filter_map(move |key| Some((key, self.filter_state(context, key)?)))
    }

    /// What the guest would read at this property path (segments with a zero
    /// byte between) in this context.
    pub fn property(&mut self, context: ContextId, path: &[u8]) -> Option<Vec<u8>> {
        let state = self.instance.state_mut();
        state.scope.context = context;
        state.scope.effective = None;
        let mut value = Vec::new();
        property::read(state, path, &mut value).ok().map(|()| value)
    }

    /// Sets a property as a guest does with `proxy_set_property`: what the host has to say of
    /// the stream under a name of its own.
    ///
    /// It is left out when the context is gone, or has more than a stream may carry.
    pub fn set_property(&mut self, context: ContextId, path: &[u8], value: &[u8]) {
        let state = self.instance.state_mut();
        if let Some(context) = state.contexts.get_mut(context) {
            let value = FilterStateValue::Property {
                bytes: value.to_vec(),
                write: WriteAccess::Often,
            };
            let _ = context.state.set(property::own_key(path).into(), value);
        }
    }

    /// The stream is over: `on_done`, `on_log`, `on_delete` in Envoy's order
    /// (for HTTP `on_log` comes first). The context is gone afterwards.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn finish(&mut self, context: ContextId) -> Result<(), Trap> {
        self.instance.alive()?;
        let state = self.instance.state();
        let log_first = match state.contexts.get(context).map(|context| &context.kind) {
            None | Some(Kind::Root(_)) => return Ok(()),
            Some(Kind::Tcp(_)) => false,
            Some(Kind::Http(_)) => !state.logs_last(),
        };
        if log_first {
            self.log(context)?;
        }
        let (exports, instance) = (&self.exports, &mut self.instance);
        instance.call(context, &exports.done, (context.0,))?;
        if !log_first {
            self.log(context)?;
        }
        let (exports, instance) = (&self.exports, &mut self.instance);
        instance.call(context, &exports.delete, (context.0,))?;
        instance.state_mut().contexts.remove(context);
        self.settle()
    }

    fn log(&mut self, context: ContextId) -> Result<(), Trap> {
        let (exports, instance) = (&self.exports, &mut self.instance);
        instance.state_mut().begin_log(context);
        instance.call(context, &exports.log, (context.0,))?;
        instance.state_mut().end_log(context);
        Ok(())
    }

    /// Makes a context of a root. When that root is gone, no context has the id
    /// returned, and so it gets no callbacks.
    pub(super) fn open(&mut self, root: ContextId, kind: Kind) -> Result<ContextId, Trap> {
        self.instance.alive()?;
        let state = self.instance.state_mut();
        let Some(plugin) = state.contexts.get(root).map(|context| context.plugin) else {
            return Ok(ContextId::NONE);
        };
        let id = state.contexts.add(Parent::Root { root, plugin }, kind);
        self.instance
            .call(id, &self.exports.context_create, (id.0, root.0))?;
        Ok(id)
    }
}

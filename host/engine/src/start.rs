//! Starting a VM: the guest's own start functions, then its plugins.

use std::sync::Arc;

use super::abi::ContextId;
use super::config::{Environment, VmConfig};
use super::context::{Kind, Parent, Root};
use super::engine::Module;
use super::instance::Instance;
use super::shared::Shared;
use super::state::VmState;
use super::trap::StartError;
use super::vm::Vm;

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

    /// `_initialize` and then `main`, or else `_start`.
    fn initialize(&mut self) -> Result<(), StartError> {
        let (exports, instance) = (&self.exports, &mut self.instance);
        if exports.initialize.function.is_some() {
            instance.call(ContextId::NONE, &exports.initialize, ())?;
            instance.call_main()?;
        } else {
            instance.call(ContextId::NONE, &exports.start, ())?;
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

        instance.call(root, &exports.context_create, (root.0, 0))?;
        let started = instance.call(root, &exports.vm_start, (root.0, vm_size))?;
        if started == Some(0) {
            return Err(StartError::VmRefused { plugin: name });
        }
        instance.state_mut().scope.configuring = true;
        let valid = instance.call(root, &exports.validate, (root.0, size))?;
        instance.state_mut().scope.configuring = true;
        let configured = match valid {
            Some(0) => Some(0),
            _ => instance.call(root, &exports.configure, (root.0, size))?,
        };
        instance.state_mut().scope.configuring = false;
        if configured == Some(0) {
            return Err(StartError::PluginRefused { plugin: name });
        }
        Ok(())
    }
}

//! One worker: a VM and what belongs to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_engine::{ContextId, Module, Shared, StartError, Vm, VmConfig};

use super::kit_state::{KitState, WorkerState, WorkerView};

/// A VM and what belongs to it.
pub(super) struct Worker {
    pub(super) module: Module,
    pub(super) config: VmConfig,
    pub(super) state: Arc<WorkerState>,
    /// `None`: it trapped and is not built again yet.
    pub(super) vm: Option<Vm>,
    /// Which VM this is, counted from 1.
    pub(super) generation: u32,
    pub(super) ticks: HashMap<ContextId, TickSetting>,
    settings: u64,
}

/// How often a root ticks.
#[derive(Clone, Copy)]
pub(super) struct TickSetting {
    pub(super) period: Duration,
    pub(super) number: u64,
}

impl Worker {
    pub(super) fn new(
        index: usize,
        module: Module,
        config: VmConfig,
        kit_state: &Arc<KitState>,
    ) -> Worker {
        Worker {
            module,
            config,
            state: WorkerState::new(kit_state.clone(), index),
            vm: None,
            generation: 0,
            ticks: HashMap::new(),
            settings: 0,
        }
    }

    pub(super) fn start(&mut self, shared: &Shared) -> Result<(), StartError> {
        self.generation += 1;
        self.ticks.clear();
        let world = Arc::new(WorkerView(self.state.clone()));
        self.vm = Some(Vm::start(&self.module, &self.config, shared, world)?);
        Ok(())
    }

    /// Sets a root's period anew; the number tells its ticks from older ones.
    pub(super) fn set_tick(&mut self, root: ContextId, period: Option<Duration>) -> Option<u64> {
        self.settings += 1;
        let number = self.settings;
        match period {
            Some(period) => {
                self.ticks.insert(root, TickSetting { period, number });
                Some(number)
            }
            None => {
                self.ticks.remove(&root);
                None
            }
        }
    }
}

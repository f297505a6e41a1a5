//! One worker: a VM and what belongs to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_engine::{ContextId, Module, Shared, StartError, Vm, VmConfig};

use crate::state::KitState;
use crate::state::worker_state::{WorkerState, WorkerView};

/// A VM and what belongs to it.
pub(crate) struct Worker {
    pub(crate) module: Module,
    pub(crate) config: VmConfig,
    pub(crate) state: Arc<WorkerState>,
    /// `None`: it trapped and is not built again yet.
    pub(crate) vm: Option<Vm>,
    /// Which VM this is, counted from 1.
    pub(crate) generation: u32,
    pub(crate) ticks: HashMap<ContextId, TickSetting>,
    settings: u64,
}

/// How often a root ticks.
#[derive(Clone, Copy)]
pub(crate) struct TickSetting {
    pub(crate) period: Duration,
    pub(crate) number: u64,
}

impl Worker {
    pub(crate) fn new(
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

    pub(crate) fn start(&mut self, shared: &Shared) -> Result<(), StartError> {
        self.generation += 1;
        self.ticks.clear();
        let world = Arc::new(WorkerView(self.state.clone()));
        self.vm = Some(Vm::start(&self.module, &self.config, shared, world)?);
        Ok(())
    }

    /// Sets a root's period anew; the number tells its ticks from older ones.
    pub(crate) fn set_tick(&mut self, root: ContextId, period: Option<Duration>) -> Option<u64> {
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

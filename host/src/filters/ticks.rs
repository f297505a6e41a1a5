//! The timers of root contexts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;

#[cfg(test)]
use crate::fault::{Fault, FaultSwitch};
use crate::filters::caller::{VmCaller, spawn_for};
use proxy_wasm_engine::ContextId;

/// A timer for each root context that has set a tick period.
#[derive(Default)]
pub(super) struct Ticks {
    timers: RefCell<HashMap<ContextId, AbortHandle>>,
    #[cfg(test)]
    pub(super) fault: FaultSwitch,
}

impl Ticks {
    /// Sets or, with `None`, ends a root's timer. As in Envoy the next tick is due a
    /// period after the last one returned, and setting the period starts it anew.
    pub(super) fn set(&self, caller: impl VmCaller, root: ContextId, period: Option<Duration>) {
        let mut timers = self.timers.borrow_mut();
        if let Some(old) = timers.remove(&root) {
            old.abort();
        }
        let Some(period) = period else { return };
        #[cfg(test)]
        let fault = self.fault.clone();
        let ticking = spawn_for(caller.clone(), async move {
            loop {
                sleep(period).await;
                #[cfg(test)]
                fault.strike(Fault::Tick);
                if caller.call(|vm| vm.tick(root)).is_none() {
                    return;
                }
            }
        });
        timers.insert(root, ticking);
    }

    /// The roots that have a timer.
    pub(super) fn roots(&self) -> Vec<ContextId> {
        self.timers.borrow().keys().copied().collect()
    }

    pub(super) fn clear(&self) {
        self.timers
            .borrow_mut()
            .drain()
            .for_each(|(_, timer)| timer.abort());
    }
}

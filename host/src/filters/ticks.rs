//! The timers of root contexts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;

use crate::filters::caller::VmCaller;
use proxy_wasm_engine::ContextId;

/// A timer for each root context that has set a tick period.
#[derive(Default)]
pub(super) struct Ticks(RefCell<HashMap<ContextId, AbortHandle>>);

impl Ticks {
    /// Sets or, with `None`, ends a root's timer. As in Envoy the next tick is due a
    /// period after the last one returned, and setting the period starts it anew.
    pub(super) fn set(&self, caller: impl VmCaller, root: ContextId, period: Option<Duration>) {
        let mut timers = self.0.borrow_mut();
        if let Some(old) = timers.remove(&root) {
            old.abort();
        }
        let Some(period) = period else { return };
        let ticking = spawn_local(async move {
            loop {
                sleep(period).await;
                if caller.call(|vm| vm.tick(root)).is_none() {
                    return;
                }
            }
        });
        timers.insert(root, ticking.abort_handle());
    }

    /// The roots that have a timer.
    pub(super) fn roots(&self) -> Vec<ContextId> {
        self.0.borrow().keys().copied().collect()
    }

    pub(super) fn clear(&self) {
        self.0
            .borrow_mut()
            .drain()
            .for_each(|(_, timer)| timer.abort());
    }
}

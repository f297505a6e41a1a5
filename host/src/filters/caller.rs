//! The way back into a VM, for what it asked to have done.

use std::pin::pin;

use tokio::task::{AbortHandle, spawn_local};

use crate::caught_panic::CaughtPanic;
use proxy_wasm_engine::{Trap, Vm};

/// Calls the VM that asked for something; one that replaced it is left alone.
pub(super) trait VmCaller: Clone + 'static {
    /// `None`: that VM is gone, or failed just now.
    fn call(&self, call: impl FnOnce(&mut Vm) -> Result<(), Trap>) -> Option<()>;

    /// Whether that VM is still there.
    fn is_current(&self) -> bool;

    /// The VM counts as failed: what was done for it panicked.
    fn fail(&self, panic: &CaughtPanic);
}

/// Does something for a VM in a task of its own. When it panics the VM counts as failed,
/// for it waits for what will not come.
pub(super) fn spawn_for(
    caller: impl VmCaller,
    task: impl Future<Output = ()> + 'static,
) -> AbortHandle {
    let watched = async move {
        if let Err(panic) = CaughtPanic::catch_async(pin!(task)).await {
            caller.fail(&panic);
        }
    };
    spawn_local(watched).abort_handle()
}

//! The way back into a VM, for what it asked to have done.

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
    // Some of them are large, and what a task holds itself is moved about at its start
    // and at its end.
    let mut task = Box::pin(task);
    let watched = async move {
        if let Err(panic) = CaughtPanic::catch_async(task.as_mut()).await {
            caller.fail(&panic);
        }
    };
    spawn_local(watched).abort_handle()
}

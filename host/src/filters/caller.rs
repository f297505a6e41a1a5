//! The way back into a VM, for what it asked to have done.

use proxy_wasm_engine::{Trap, Vm};

/// Calls the VM that asked for something; one that replaced it is left alone.
pub(super) trait VmCaller: Clone + 'static {
    /// `None`: that VM is gone, or failed just now.
    fn call(&self, call: impl FnOnce(&mut Vm) -> Result<(), Trap>) -> Option<()>;

    /// Whether that VM is still there.
    fn is_current(&self) -> bool;
}

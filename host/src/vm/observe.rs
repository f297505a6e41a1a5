//! Watching a VM from outside.

use super::abi::ContextId;
use super::trap::{Trap, TrapReason};

/// Watches what a guest and its host say to each other, and may put faults in
/// between: what a transcript and a testkit need. A VM without one pays nothing.
///
/// It is called inside the VM, so it must not call the VM.
pub trait Observer: Send + Sync {
    /// A callback is about to run; its arguments as the guest gets them.
    /// `Some`: it does not run, and the VM ends as if the guest had trapped so.
    fn enter(&self, _callback: &'static str, _arguments: &[u32]) -> Option<TrapReason> {
        None
    }

    /// A callback returned (with what, if it returns anything), or trapped.
    fn leave(&self, _callback: &'static str, _outcome: Result<Option<u32>, &Trap>) {}

    /// A host function is about to run. `Some`: it does not, and the guest gets
    /// this status instead.
    fn call(&self, _call: &Hostcall<'_>) -> Option<u32> {
        None
    }

    /// A host function returned this status; `None`: it returns nothing, or it
    /// ended the VM.
    fn returned(&self, _call: &Hostcall<'_>, _status: Option<u32>) {}

    /// Whether the guest may have more linear memory, bytes.
    fn may_grow(&self, _from: usize, _to: usize) -> bool {
        true
    }
}

/// A guest calls a host function.
#[derive(Clone, Copy, Debug)]
pub struct Hostcall<'a> {
    /// Such as `proxy_log`, or `fd_write` of WASI.
    pub name: &'a str,
    /// On whose behalf.
    pub context: ContextId,
    /// As the guest gave them; 32-bit ones are zero-extended.
    pub arguments: &'a [u64],
    /// The guest's memory: before the call in `call`, after it in `returned`.
    pub memory: &'a [u8],
}

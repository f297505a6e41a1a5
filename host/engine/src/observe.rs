//! Watching a VM from outside.

use super::abi::ContextId;
use super::trap::{Trap, TrapReason};

/// Sees each callback and each host function with its arguments, and may inject
/// faults: for transcripts and tests. A VM without one pays nothing.
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

    /// A property that is not the VM's own, or has another value; asked first.
    /// A zero byte is between the segments of `path`.
    fn property(&self, _context: ContextId, _path: &[u8]) -> Option<Vec<u8>> {
        None
    }

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
    /// The context the guest acts in.
    pub context: ContextId,
    /// As the guest gave them; 32-bit ones are zero-extended.
    pub arguments: &'a [u64],
    /// The guest's memory: before the call in `call`, after it in `returned`.
    pub memory: &'a [u8],
}

/// Arguments of a callback, as an observer sees them.
pub(super) trait CallbackArguments: Copy {
    fn to_u32s(self) -> impl AsRef<[u32]>;
}

macro_rules! arguments {
    ($($name:ident)*) => {
        impl CallbackArguments for ($(arguments!(@u32 $name),)*) {
            fn to_u32s(self) -> impl AsRef<[u32]> {
                let ($($name,)*) = self;
                let numbers: [u32; _] = [$($name),*];
                numbers
            }
        }
    };
    (@u32 $name:ident) => { u32 };
}

arguments!();
arguments!(a);
arguments!(a b);
arguments!(a b c);
arguments!(a b c d);
arguments!(a b c d e);

/// What a callback returns, as an observer sees it.
pub(super) trait CallbackResult {
    fn to_u32(&self) -> Option<u32>;
}

impl CallbackResult for () {
    fn to_u32(&self) -> Option<u32> {
        None
    }
}

impl CallbackResult for u32 {
    fn to_u32(&self) -> Option<u32> {
        Some(*self)
    }
}

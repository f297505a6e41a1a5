//! Watching a VM from outside.

use std::sync::Arc;

use wasmtime::{Caller, Memory};

use super::abi::ContextId;
use super::state::VmState;
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

/// Runs a host function with an observer.
pub(super) fn watched(
    mut caller: Caller<'_, VmState>,
    observer: &Arc<dyn Observer>,
    name: &'static str,
    arguments: &[u64],
    run: impl FnOnce(&mut Caller<'_, VmState>) -> wasmtime::Result<u32>,
) -> wasmtime::Result<u32> {
    let context = caller.data().acting_id();
    let memory = match caller.data().memory {
        Some(memory) => Some(memory),
        // In a start section: exports are not looked up yet.
        None => (caller.get_export("memory")).and_then(wasmtime::Extern::into_memory),
    };
    let fault = observer.call(&hostcall(&caller, memory, name, context, arguments));
    if let Some(status) = fault {
        return Ok(status);
    }
    let result = run(&mut caller);
    let call = hostcall(&caller, memory, name, context, arguments);
    observer.returned(&call, result.as_ref().ok().copied());
    result
}

fn hostcall<'a>(
    caller: &'a Caller<'_, VmState>,
    memory: Option<Memory>,
    name: &'a str,
    context: ContextId,
    arguments: &'a [u64],
) -> Hostcall<'a> {
    Hostcall {
        name,
        context,
        arguments,
        memory: memory.map_or(&[], |memory| memory.data(caller)),
    }
}

/// An argument of a host function, as an observer sees it.
pub(super) trait HostcallArgument: Copy {
    fn to_u64(self) -> u64;
}

impl HostcallArgument for u32 {
    fn to_u64(self) -> u64 {
        u64::from(self)
    }
}

impl HostcallArgument for u64 {
    fn to_u64(self) -> u64 {
        self
    }
}

impl HostcallArgument for i64 {
    fn to_u64(self) -> u64 {
        self.cast_unsigned()
    }
}

/// CallbackArguments of a callback, as an observer sees them.
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

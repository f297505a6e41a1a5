//! Running host functions under an observer.

use std::sync::Arc;

use wasmtime::{Caller, Memory};

use super::abi::ContextId;
use super::observe::{Hostcall, Observer};
use super::state::VmState;

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

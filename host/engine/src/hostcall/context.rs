//! In which context the guest acts, and when it is done.

use crate::abi::ContextId;
use crate::context::RootPhase;
use crate::memory::Call;
use crate::status::{HostcallError, HostcallResult};

/// Any context of the VM will do, for the rest of the callback.
pub(crate) fn set_effective(call: &mut Call, context: u32) -> HostcallResult {
    let state = call.state();
    let context = ContextId(context);
    state
        .contexts
        .get(context)
        .ok_or(HostcallError::BadArgument)?;
    state.scope.effective = Some(context);
    Ok(())
}

/// Only for a root whose `on_done` returned that it is not done; `on_delete` follows
/// once the callback returned.
pub(crate) fn done(call: &mut Call) -> HostcallResult {
    let state = call.state();
    let id = state.acting_id();
    let root = state.contexts.root_mut(id).ok_or(HostcallError::NotFound)?;
    if root.phase != RootPhase::Finishing {
        return Err(HostcallError::NotFound);
    }
    root.phase = RootPhase::Finished;
    state.finished.push(id);
    Ok(())
}

//! Shared queues.

use crate::abi::QueueId;
use crate::memory::{Call, GuestSlice, OutPtr};
use crate::status::{HostcallError, HostcallResult};

pub(crate) fn register(call: &mut Call, name: GuestSlice, to: u32) -> HostcallResult {
    let (mut view, state) = call.split();
    let name = view.get(name)?.to_vec();
    view.get_mut(GuestSlice(to, 4))?;
    let root = state.acting_root();
    let id = state
        .shared
        .queues()
        .register(&state.vm_id, &name, &state.inbox, root)?;
    call.put_u32(to, id.0)
}

/// An empty VM id is the guest's own.
pub(crate) fn resolve(
    call: &mut Call,
    vm_id: GuestSlice,
    name: GuestSlice,
    to: u32,
) -> HostcallResult {
    let (view, state) = call.split();
    let vm_id = view.text(vm_id)?;
    let vm_id = if vm_id.is_empty() {
        state.vm_id.as_str()
    } else {
        &vm_id
    };
    let id = state
        .shared
        .queues()
        .resolve(vm_id, view.get(name)?)
        .ok_or(HostcallError::NotFound)?;
    call.put_u32(to, id.0)
}

pub(crate) fn enqueue(call: &mut Call, queue: u32, item: GuestSlice) -> HostcallResult {
    let (view, state) = call.split();
    state
        .shared
        .queues()
        .enqueue(QueueId(queue), view.get(item)?)
}

pub(crate) fn dequeue(call: &mut Call, queue: u32, at_to: u32, len_to: u32) -> HostcallResult {
    let (view, state) = call.split();
    // Checked first: an item taken out must not get lost.
    view.get(GuestSlice(at_to, 4))?;
    view.get(GuestSlice(len_to, 4))?;
    let item = state.shared.queues().dequeue(QueueId(queue))?;
    call.give(OutPtr(at_to, len_to), &item)
}

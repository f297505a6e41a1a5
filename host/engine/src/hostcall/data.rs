//! Shared data.

use crate::memory::{Call, GuestSlice, OutPtr};
use crate::shared::Cas;
use crate::status::HostcallError;
use crate::status::HostcallResult;

pub(crate) fn get(
    call: &mut Call,
    key: GuestSlice,
    at_to: u32,
    len_to: u32,
    cas_to: u32,
) -> HostcallResult {
    let mut cas = Cas(0);
    call.split().0.get(GuestSlice(cas_to, 4))?;
    call.give_with(OutPtr(at_to, len_to), |view, state, out| {
        cas = state
            .space
            .get(view.get(key)?, out)
            .ok_or(HostcallError::NotFound)?;
        Ok(())
    })?;
    call.put_u32(cas_to, cas.0)
}

/// A `cas` of 0 writes in any case.
pub(crate) fn set(call: &mut Call, key: GuestSlice, value: GuestSlice, cas: u32) -> HostcallResult {
    let (view, state) = call.split();
    let expected = (cas != 0).then_some(Cas(cas));
    state.space.set(view.get(key)?, view.get(value)?, expected)
}

//! Properties.

use std::borrow::Cow;

use crate::context::Kind;
use crate::filter_state::{FilterStateValue, WriteAccess};
use crate::memory::{Call, GuestSlice, OutPtr};
use crate::property;
use crate::status::{HostcallError, HostcallResult};

pub(crate) fn get(call: &mut Call, path: GuestSlice, at_to: u32, len_to: u32) -> HostcallResult {
    call.give_with(OutPtr(at_to, len_to), |view, state, out| {
        property::read(state, view.get(path)?, out)
    })
}

/// Only streams have properties to set, under names of their own.
pub(crate) fn set(call: &mut Call, path: GuestSlice, value: GuestSlice) -> HostcallResult {
    let (view, state) = call.split();
    let path = view.get(path)?;
    let new = view.get(value)?;
    let root = state.acting_root();
    let declared = state
        .contexts
        .root(root)
        .and_then(|root| root.declared.get(path))
        .copied();
    let context = state.acting_mut().ok_or(HostcallError::NotFound)?;
    if matches!(&context.kind, Kind::Root(_)) || context.is_over() {
        return Err(HostcallError::NotFound);
    }
    let key = property::own_key(path);
    let write = match context.state.get(&key) {
        Some(
            FilterStateValue::Property {
                write: WriteAccess::Once,
                ..
            }
            | FilterStateValue::Object(_),
        ) => {
            return Err(HostcallError::BadArgument);
        }
        Some(FilterStateValue::Property { write, .. }) => *write,
        None => declared.unwrap_or(WriteAccess::Often),
    };
    let bytes = new.to_vec();
    context
        .state
        .set(Cow::Owned(key), FilterStateValue::Property { bytes, write })
}

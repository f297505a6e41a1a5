//! Buffers of bytes.

use bytes::BytesMut;

use crate::abi::{Body, BufferKind, Profile};
use crate::context::Kind;
use crate::memory::{Call, GuestSlice, OutPtr};
use crate::state::VmState;
use crate::status::{HostcallError, HostcallResult};

pub(crate) fn get(
    call: &mut Call,
    kind: u32,
    start: u32,
    most: u32,
    at_to: u32,
    len_to: u32,
) -> HostcallResult {
    let kind = BufferKind::try_from(kind)?;
    if start.checked_add(most).is_none() && call.state().profile == Profile::Spec {
        return Err(HostcallError::BadArgument);
    }
    let end = start.saturating_add(most);
    call.give_with(OutPtr(at_to, len_to), |_, state, out| {
        let bytes = bytes(state, kind)?;
        let start = start as usize;
        if start > bytes.len() && state.profile == Profile::Spec {
            return Err(HostcallError::BadArgument);
        }
        let end = bytes.len().min(end as usize);
        out.extend_from_slice(bytes.get(start..end).unwrap_or_default());
        Ok(())
    })
}

pub(crate) fn status(call: &mut Call, kind: u32, len_to: u32, flags_to: u32) -> HostcallResult {
    let kind = BufferKind::try_from(kind)?;
    let len = bytes(call.state(), kind)?.len();
    call.put_u32(len_to, u32::try_from(len).unwrap_or(u32::MAX))?;
    call.put_u32(flags_to, 0)
}

pub(crate) fn set(
    call: &mut Call,
    kind: u32,
    start: u32,
    len: u32,
    at: u32,
    new_len: u32,
) -> HostcallResult {
    let kind = BufferKind::try_from(kind)?;
    let (view, state) = call.split();
    let new = view.get(GuestSlice(at, new_len))?;
    let profile = state.profile;
    let (start, len) = (start as usize, len as usize);
    let most = state.limits.memory();
    let buffer = writable(state, kind)?;
    if len < buffer.len() && buffer.len() + new.len() > most {
        // Appending again and again would fill the host's memory.
        return Err(HostcallError::Internal);
    }
    match profile {
        // Replaces `len` bytes at the front, or appends.
        Profile::Envoy if start == 0 => {
            let end = len.min(buffer.len());
            splice(buffer, 0, end, new);
        }
        Profile::Envoy if start >= buffer.len() => buffer.extend_from_slice(new),
        Profile::Envoy => return Err(HostcallError::BadArgument),
        Profile::Spec => {
            let start = start.min(buffer.len());
            let end = start.saturating_add(len).min(buffer.len());
            splice(buffer, start, end, new);
        }
    }
    Ok(())
}

fn splice(buffer: &mut BytesMut, start: usize, end: usize, new: &[u8]) {
    if start == 0 && buffer.is_empty() {
        buffer.extend_from_slice(new);
        return;
    }
    let mut spliced = BytesMut::with_capacity(buffer.len() - (end - start) + new.len());
    spliced.extend_from_slice(&buffer[..start]);
    spliced.extend_from_slice(new);
    spliced.extend_from_slice(&buffer[end..]);
    *buffer = spliced;
}

/// The bytes behind a buffer's number, as the guest may see them now.
fn bytes(state: &VmState, kind: BufferKind) -> Result<&[u8], HostcallError> {
    let root = || state.contexts.root(state.acting_root());
    match kind {
        BufferKind::VmConfiguration => Ok(&state.vm_configuration),
        BufferKind::PluginConfiguration if !state.scope.configuring => Err(HostcallError::NotFound),
        BufferKind::PluginConfiguration => state
            .plugin()
            .map(|plugin| plugin.configuration.as_slice())
            .ok_or(HostcallError::NotFound),
        BufferKind::CallBody => {
            let reply = root()
                .and_then(|root| root.reply.as_ref())
                .ok_or(HostcallError::NotFound)?;
            Ok(&reply.body)
        }
        BufferKind::GrpcMessage => match root().and_then(|root| root.grpc_message.as_ref()) {
            Some(message) => Ok(message),
            None => nothing(state),
        },
        BufferKind::RequestBody
        | BufferKind::ResponseBody
        | BufferKind::DownstreamData
        | BufferKind::UpstreamData
        | BufferKind::ForeignArguments => match &state.scope.data {
            Some((carried, bytes)) if *carried == kind && acts_in_its_own_context(state) => {
                Ok(bytes)
            }
            _ => held(state, kind).map_or_else(|| nothing(state), Ok),
        },
    }
}

/// The part of a body that waits between callbacks.
fn held(state: &VmState, kind: BufferKind) -> Option<&[u8]> {
    let Kind::Http(http) = &state.acting()?.kind else {
        return None;
    };
    let held = http.held.get(body(kind)? as usize)?;
    (!held.is_empty()).then_some(held)
}

fn held_mut(state: &mut VmState, kind: BufferKind) -> Option<&mut BytesMut> {
    let Kind::Http(http) = &mut state.acting_mut()?.kind else {
        return None;
    };
    let held = http.held.get_mut(body(kind)? as usize)?;
    (!held.is_empty()).then_some(held)
}

fn body(kind: BufferKind) -> Option<Body> {
    match kind {
        BufferKind::RequestBody => Some(Body::Request),
        BufferKind::ResponseBody => Some(Body::Response),
        _ => None,
    }
}

/// Envoy shows an empty buffer where there is none.
fn nothing(state: &VmState) -> Result<&[u8], HostcallError> {
    match state.profile {
        Profile::Envoy => Ok(&[]),
        Profile::Spec => Err(HostcallError::NotFound),
    }
}

fn writable(state: &mut VmState, kind: BufferKind) -> Result<&mut BytesMut, HostcallError> {
    if matches!(kind, BufferKind::PluginConfiguration | BufferKind::CallBody) {
        bytes(state, kind)?;
    }
    let carried = matches!(&state.scope.data, Some((carried, _)) if *carried == kind);
    if !carried || !acts_in_its_own_context(state) {
        return held_mut(state, kind).ok_or(HostcallError::BadArgument);
    }
    match &mut state.scope.data {
        Some((_, bytes)) if kind != BufferKind::ForeignArguments => Ok(bytes),
        _ => Err(HostcallError::BadArgument),
    }
}

fn acts_in_its_own_context(state: &VmState) -> bool {
    state.acting_id() == state.scope.context
}

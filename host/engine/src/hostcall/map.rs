//! Header maps.

use crate::abi::{AbiVersion, Headers, MapKind, Profile};
use crate::context::Kind;
use crate::memory::{Call, GuestSlice, OutPtr};
use crate::pairs;
use crate::state::VmState;
use crate::status::{HostcallError, HostcallResult};

pub(crate) fn size(call: &mut Call, kind: u32, to: u32) -> HostcallResult {
    let kind = MapKind::try_from(kind)?;
    let state = call.state();
    let map = state.map(kind).ok_or(HostcallError::BadArgument)?;
    let contents: usize = map
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let size = match state.profile {
        Profile::Envoy => contents,
        Profile::Spec => 4 + contents + map.len() * 10,
    };
    call.put_u32(to, u32::try_from(size).unwrap_or(u32::MAX))
}

pub(crate) fn pairs(call: &mut Call, kind: u32, at_to: u32, len_to: u32) -> HostcallResult {
    let kind = MapKind::try_from(kind)?;
    call.give_with(OutPtr(at_to, len_to), |_, state, out| {
        match state.map(kind) {
            Some(map) if !map.is_empty() => pairs::append_headers(map, out),
            Some(_) => {}
            None if state.profile == Profile::Spec => return Err(HostcallError::BadArgument),
            None => {}
        }
        Ok(())
    })
}

pub(crate) fn set_pairs(call: &mut Call, kind: u32, at: u32, len: u32) -> HostcallResult {
    let kind = MapKind::try_from(kind)?;
    let (view, state) = call.split();
    let decoded = pairs::decode(view.get(GuestSlice(at, len))?);
    let new = match (decoded, state.profile) {
        (Some(pairs), _) => pairs,
        // Envoy takes what it cannot read for nothing.
        (None, Profile::Envoy) => Headers::new(),
        (None, Profile::Spec) => return Err(HostcallError::BadArgument),
    };
    *state.map_mut(kind)? = new;
    Ok(())
}

pub(crate) fn get(
    call: &mut Call,
    kind: u32,
    name_at: u32,
    name_len: u32,
    at_to: u32,
    len_to: u32,
) -> HostcallResult {
    let kind = MapKind::try_from(kind)?;
    call.give_with(OutPtr(at_to, len_to), |view, state, out| {
        let name = view.get(GuestSlice(name_at, name_len))?;
        let Some(map) = state.map(kind) else {
            return Err(unavailable(state));
        };
        // Of a header that is there twice, the first.
        match map
            .iter()
            .find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name))
        {
            Some((_, value)) => out.extend_from_slice(value),
            None if state.abi == AbiVersion::V0_1_0 => {}
            None => return Err(HostcallError::NotFound),
        }
        Ok(())
    })
}

/// In an access log a request's map may be absent, a connection has none ever.
fn unavailable(state: &VmState) -> HostcallError {
    let http = matches!(
        state.acting().map(|context| &context.kind),
        Some(Kind::Http(_))
    );
    if state.scope.logging && http {
        HostcallError::NotFound
    } else {
        HostcallError::BadArgument
    }
}

/// A change to one name of a map.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    Add,
    Replace,
}

pub(crate) fn put(
    call: &mut Call,
    change: Change,
    kind: u32,
    name: GuestSlice,
    value: GuestSlice,
) -> HostcallResult {
    let kind = MapKind::try_from(kind)?;
    let (view, state) = call.split();
    let name = view.text(name)?.to_ascii_lowercase();
    let value = view.get(value)?.to_vec();
    let map = state.map_mut(kind)?;
    let size: usize = map
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if map.len() >= MAX_PAIRS || size + name.len() + value.len() > MAX_BYTES {
        return Err(HostcallError::BadArgument);
    }
    match change {
        Change::Add => map.push((name, value)),
        Change::Replace => replace(map, name, value),
    }
    Ok(())
}

pub(crate) fn remove(call: &mut Call, kind: u32, name_at: u32, name_len: u32) -> HostcallResult {
    let kind = MapKind::try_from(kind)?;
    let (view, state) = call.split();
    let name = view
        .text(GuestSlice(name_at, name_len))?
        .to_ascii_lowercase();
    state.map_mut(kind)?.retain(|(known, _)| *known != name);
    Ok(())
}

/// The first of this name gets the value, others of this name go.
fn replace(map: &mut Headers, name: String, value: Vec<u8>) {
    let Some(first) = map.iter().position(|(known, _)| *known == name) else {
        map.push((name, value));
        return;
    };
    let mut index = 0;
    map.retain(|(known, _)| {
        index += 1;
        *known != name || index - 1 == first
    });
    if let Some((_, old)) = map.get_mut(first) {
        *old = value;
    }
}

/// Most headers a guest may add to, and most bytes of them.
const MAX_PAIRS: usize = 1024;
const MAX_BYTES: usize = 1 << 20;

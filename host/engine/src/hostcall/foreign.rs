//! Functions that belong to Envoy rather than to the ABI.

use std::borrow::Cow;

use super::signature;
use crate::context::Kind;
use crate::effect::Effect;
use crate::filter_state::{FilterStateValue, WriteAccess, object_key};
use crate::memory::{Call, GuestSlice, OutPtr};
use crate::protobuf::{Field, Fields};
use crate::state::VmState;
use crate::status::{HostcallError, HostcallResult};

/// The guest may pass 0 for where it does not want an answer.
pub(crate) fn call(
    call: &mut Call,
    name: GuestSlice,
    arguments: GuestSlice,
    at_to: u32,
    len_to: u32,
) -> HostcallResult {
    let (view, state) = call.split();
    let function = find(view.get(name)?).ok_or(HostcallError::NotFound)?;
    let mut answer = Vec::new();
    function(state, view.get(arguments)?, &mut answer)?;
    match (at_to, len_to) {
        (0, 0) => Ok(()),
        (0, len_to) => call.put_u32(len_to, u32::try_from(answer.len()).unwrap_or(u32::MAX)),
        (at_to, 0) => {
            let at = if answer.is_empty() {
                0
            } else {
                call.copy_in(&answer)?
            };
            call.put_u32(at_to, at)
        }
        (at_to, len_to) => call.give(OutPtr(at_to, len_to), &answer),
    }
}

type Function = fn(&mut VmState, &[u8], &mut Vec<u8>) -> HostcallResult;

fn find(name: &[u8]) -> Option<Function> {
    Some(match name {
        b"set_envoy_filter_state" => set_filter_state,
        b"declare_property" => declare_property,
        b"clear_route_cache" => clear_route_cache,
        b"compress" => compress,
        b"uncompress" => uncompress,
        b"verify_signature" => signature::verify,
        b"sign" => signature::sign,
        b"dtr_lb_skip_data" => skip_data,
        _ => return None,
    })
}

/// `{path = 1, value = 2, span = 3}`: something the proxy itself will look at.
fn set_filter_state(state: &mut VmState, arguments: &[u8], _: &mut Vec<u8>) -> HostcallResult {
    let (mut path, mut value) = ("", "");
    for field in Fields::of(arguments) {
        match field.map_err(|_| HostcallError::BadArgument)? {
            (1, Field::Bytes(bytes)) => path = utf8(bytes)?,
            (2, Field::Bytes(bytes)) => value = utf8(bytes)?,
            _ => {}
        }
    }
    let context = state.acting_mut().ok_or(HostcallError::NotFound)?;
    if matches!(&context.kind, Kind::Root(_)) || context.is_over() {
        return Err(HostcallError::NotFound);
    }
    let key = object_key(path, value)?;
    context.state.set(
        Cow::Borrowed(key.as_bytes()),
        FilterStateValue::Object(value.to_owned()),
    )
}

/// `{name = 1, readonly = 2, type = 3, schema = 4, span = 5}`
fn declare_property(state: &mut VmState, arguments: &[u8], _: &mut Vec<u8>) -> HostcallResult {
    let (mut name, mut write) = ("", WriteAccess::Often);
    for field in Fields::of(arguments) {
        match field.map_err(|_| HostcallError::BadArgument)? {
            (1, Field::Bytes(bytes)) => name = utf8(bytes)?,
            (2, Field::Varint(flag)) => {
                write = if flag == 0 {
                    WriteAccess::Often
                } else {
                    WriteAccess::Once
                }
            }
            _ => {}
        }
    }
    let root = state.acting_root();
    let root = state
        .contexts
        .root_mut(root)
        .ok_or(HostcallError::NotFound)?;
    let known = root.declared.contains_key(name.as_bytes());
    if known || root.declared.len() >= MAX_DECLARED || name.len() > MAX_NAME_LEN {
        return Err(HostcallError::BadArgument);
    }
    root.declared.insert(name.as_bytes().to_vec(), write);
    Ok(())
}

fn clear_route_cache(state: &mut VmState, _: &[u8], _: &mut Vec<u8>) -> HostcallResult {
    let id = state.acting_id();
    if state.contexts.http_mut(id).is_some() {
        state.record(Effect::ClearRouteCache(id), 0)?;
    }
    Ok(())
}

/// To zlib's form.
fn compress(_: &mut VmState, plain: &[u8], answer: &mut Vec<u8>) -> HostcallResult {
    if plain.len() > MAX_PLAIN {
        return Err(HostcallError::Serialization);
    }
    *answer = miniz_oxide::deflate::compress_to_vec_zlib(plain, ZLIB_LEVEL);
    Ok(())
}

/// From zlib's form, as far as the result is not absurdly large.
fn uncompress(_: &mut VmState, packed: &[u8], answer: &mut Vec<u8>) -> HostcallResult {
    *answer = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, MAX_PLAIN)
        .map_err(|_| HostcallError::Serialization)?;
    Ok(())
}

/// This host's own: no further data callbacks for this TCP connection, so that
/// its bytes need not pass by the guest. Elsewhere the function is not found.
fn skip_data(state: &mut VmState, _: &[u8], _: &mut Vec<u8>) -> HostcallResult {
    let id = state.acting_id();
    state
        .contexts
        .tcp_mut(id)
        .ok_or(HostcallError::NotFound)?
        .skip_data = true;
    state.record(Effect::SkipData(id), 0)
}

fn utf8(bytes: &[u8]) -> Result<&str, HostcallError> {
    std::str::from_utf8(bytes).map_err(|_| HostcallError::BadArgument)
}

/// zlib's own default.
const ZLIB_LEVEL: u8 = 6;
/// Most bytes to compress, or to uncompress to: meanwhile the limit of the
/// callback's time is not checked.
const MAX_PLAIN: usize = 16 << 20;
/// Most properties a plugin may declare.
const MAX_DECLARED: usize = 4096;
/// Longest name of one, bytes.
const MAX_NAME_LEN: usize = 4096;

//! gRPC calls of the guest.

use std::time::Duration;

use crate::abi::{CallToken, End};
use crate::effect::{Effect, GrpcCall};
use crate::memory::{Call, GuestSlice};
use crate::open_calls::{GrpcKind, grpc_kind};
use crate::pairs;
use crate::protobuf;
use crate::state::VmState;
use crate::status::{HostcallError, HostcallResult};

/// What the guest hands over.
pub(crate) struct GrpcCallArguments {
    pub(crate) upstream: GuestSlice,
    pub(crate) service: GuestSlice,
    pub(crate) method: GuestSlice,
    pub(crate) metadata: GuestSlice,
    /// Of a unary call: message and timeout.
    pub(crate) unary: Option<(GuestSlice, u32)>,
    pub(crate) token_to: u32,
}

pub(crate) fn open(call: &mut Call, request: &GrpcCallArguments) -> HostcallResult {
    let (mut view, state) = call.split();
    let upstream = view.get(request.upstream)?.to_vec();
    let service = view.text(request.service)?.into_owned();
    let method = view.text(request.method)?.into_owned();
    let metadata = view
        .get(request.metadata)
        .map(pairs::decode)?
        .unwrap_or_default();
    let (message, timeout_ms) = match request.unary {
        Some((message, timeout_ms)) => (view.get(message)?.to_vec(), timeout_ms),
        None => (Vec::new(), 0),
    };
    view.put(request.token_to, &0u32.to_le_bytes())?;
    let cluster = cluster(state, &upstream).ok_or(HostcallError::Parse)?;
    let size = message.len();
    state.may_call(size)?;
    let root = state.acting_root();
    let kind = if request.unary.is_some() {
        GrpcKind::Unary
    } else {
        GrpcKind::Stream
    };
    let token = state.calls.open_grpc(root, kind);
    let timeout = (timeout_ms > 0).then(|| Duration::from_millis(u64::from(timeout_ms)));
    let opened = GrpcCall {
        token,
        root,
        cluster,
        service,
        method,
        metadata,
        message,
        timeout,
    };
    let effect = match kind {
        GrpcKind::Unary => Effect::GrpcCall(opened),
        GrpcKind::Stream => Effect::GrpcStream(opened),
    };
    state.record(effect, size)?;
    call.put_u32(request.token_to, token.0)
}

/// The cluster a guest means: Envoy's `GrpcService` message, or else the name itself.
fn cluster(state: &VmState, upstream: &[u8]) -> Option<String> {
    let known = |name: String| state.environment.has_cluster(&name).then_some(name);
    protobuf::Fields::of(upstream)
        .find_map(|field| match field.ok()? {
            // GrpcService.envoy_grpc
            (1, protobuf::Field::Bytes(envoy_grpc)) => protobuf::text(envoy_grpc, 1),
            _ => None,
        })
        .and_then(known)
        .or_else(|| known(String::from_utf8(upstream.to_vec()).ok()?))
}

pub(crate) fn send(call: &mut Call, token: u32, message: GuestSlice, last: u32) -> HostcallResult {
    let (view, state) = call.split();
    let message = view.get(message)?.to_vec();
    let token = CallToken(token);
    if grpc_kind(token) != GrpcKind::Stream {
        return Err(HostcallError::BadArgument);
    }
    if !state.calls.grpc.contains_key(&token) {
        return Err(HostcallError::NotFound);
    }
    let end = if last == 0 { End::More } else { End::Last };
    let size = message.len();
    state.record(
        Effect::GrpcSend {
            token,
            message,
            end,
        },
        size,
    )
}

pub(crate) fn cancel(call: &mut Call, token: u32) -> HostcallResult {
    let state = call.state();
    let token = CallToken(token);
    state
        .calls
        .grpc
        .remove(&token)
        .ok_or(HostcallError::NotFound)?;
    state.record(Effect::GrpcCancel(token), 0)
}

/// Closing a unary call is giving it up.
pub(crate) fn close(call: &mut Call, token: u32) -> HostcallResult {
    if grpc_kind(CallToken(token)) == GrpcKind::Unary {
        return cancel(call, token);
    }
    let state = call.state();
    let token = CallToken(token);
    if !state.calls.grpc.contains_key(&token) {
        return Err(HostcallError::NotFound);
    }
    state.record(Effect::GrpcClose(token), 0)
}

//! Continuing, closing and answering streams.

use crate::abi::{Profile, StreamKind};
use crate::context::Kind;
use crate::effect::Effect;
use crate::envoy::grpc_status::UNAUTHENTICATED;
use crate::memory::{Call, GuestSlice};
use crate::pairs;
use crate::status::{HostcallError, HostcallResult};

/// A stream of another kind than the context's is none of its business: nothing
/// happens, and Envoy calls that a success.
pub(crate) fn continue_stream(call: &mut Call, stream: u32) -> HostcallResult {
    let stream = StreamKind::try_from(stream)?;
    let state = call.state();
    let id = state.acting_id();
    if stream == StreamKind::Upstream && state.profile == Profile::Envoy {
        return Err(HostcallError::Unimplemented);
    }
    let effect = match (stream, state.acting().map(|context| &context.kind)) {
        (StreamKind::Request, Some(Kind::Http(_))) => Effect::ContinueRequest(id),
        (StreamKind::Response, Some(Kind::Http(_))) => Effect::ContinueResponse(id),
        (StreamKind::Downstream, Some(Kind::Tcp(_))) => Effect::ContinueDownstream(id),
        (StreamKind::Upstream, Some(Kind::Tcp(_))) => Effect::ContinueUpstream(id),
        _ => return Ok(()),
    };
    state.record(effect, 0)
}

pub(crate) fn close(call: &mut Call, stream: u32) -> HostcallResult {
    let stream = StreamKind::try_from(stream)?;
    let state = call.state();
    let id = state.acting_id();
    let effect = match (stream, state.acting().map(|context| &context.kind)) {
        (StreamKind::Request | StreamKind::Response, Some(Kind::Http(_))) => Effect::ResetHttp(id),
        // Both ends close the downstream connection.
        (StreamKind::Downstream | StreamKind::Upstream, Some(Kind::Tcp(_))) => {
            Effect::CloseStream(id)
        }
        _ => return Ok(()),
    };
    state.record(effect, 0)
}

/// What a guest answers a request with.
pub(crate) struct LocalResponseArguments {
    pub(crate) status: u32,
    pub(crate) details: GuestSlice,
    pub(crate) body: GuestSlice,
    pub(crate) headers: GuestSlice,
    pub(crate) grpc_status: u32,
}

/// Only the first answer of a request counts; on a TCP connection there is
/// nothing to answer, and Envoy calls that a success.
pub(crate) fn respond(call: &mut Call, response: &LocalResponseArguments) -> HostcallResult {
    let (view, state) = call.split();
    let details = view.text(response.details)?.into_owned();
    let body = view.get(response.body)?.to_vec();
    let headers = pairs::decode(view.get(response.headers)?).unwrap_or_default();
    let id = state.acting_id();
    let itself = id == state.scope.context;
    let Some(http) = state.contexts.http_mut(id) else {
        return Ok(());
    };
    let again = std::mem::replace(&mut http.answered, true);
    state.scope.stop |= itself;
    if again {
        return Ok(());
    }
    // -1, as the SDKs send when there is none, and all beyond what gRPC knows.
    let grpc_status = (response.grpc_status <= UNAUTHENTICATED).then_some(response.grpc_status);
    let size = body.len();
    let answer = Effect::LocalResponse {
        context: id,
        status: response.status,
        headers,
        body,
        details,
        grpc_status,
    };
    state.record(answer, size)
}

pub(crate) fn clear_route_cache(call: &mut Call) -> HostcallResult {
    let state = call.state();
    let id = state.acting_id();
    if state.contexts.http_mut(id).is_some() {
        state.record(Effect::ClearRouteCache(id), 0)?;
    }
    Ok(())
}

//! HTTP requests of the guest.

use std::time::Duration;

use crate::abi::Headers;
use crate::effect::{Effect, HttpCall};
use crate::memory::{Call, GuestSlice};
use crate::pairs;
use crate::status::{HostcallError, HostcallResult};

/// What the guest hands over.
pub(crate) struct HttpCallArguments {
    pub(crate) cluster: GuestSlice,
    pub(crate) headers: GuestSlice,
    pub(crate) body: GuestSlice,
    pub(crate) trailers: GuestSlice,
    pub(crate) timeout_ms: u32,
    pub(crate) token_to: u32,
}

pub(crate) fn http_call(call: &mut Call, request: &HttpCallArguments) -> HostcallResult {
    let (mut view, state) = call.split();
    let cluster = view.text(request.cluster)?.into_owned();
    let headers = view.get(request.headers).map(pairs::decode)?;
    let body = view.get(request.body)?.to_vec();
    let trailers = view
        .get(request.trailers)
        .map(pairs::decode)?
        .unwrap_or_default();
    view.put(request.token_to, &0u32.to_le_bytes())?;
    let timeout = timeout(request.timeout_ms)?;
    if !state.environment.has_cluster(&cluster) {
        return Err(HostcallError::BadArgument);
    }
    let mut headers = headers.unwrap_or_default();
    named(&mut headers)?;
    if !body.is_empty() {
        headers.retain(|(name, _)| name != "content-length");
        headers.push((
            "content-length".to_owned(),
            body.len().to_string().into_bytes(),
        ));
    }
    let size = body.len();
    state.may_call(size)?;
    let root = state.acting_root();
    let token = state.calls.open_http(root);
    let asked = HttpCall {
        token,
        root,
        cluster,
        headers,
        body,
        trailers,
        timeout,
    };
    state.record(Effect::HttpCall(asked), size)?;
    call.put_u32(request.token_to, token.0)
}

/// Sees to it that the request names what it wants; `host` counts as `:authority`.
fn named(headers: &mut Headers) -> HostcallResult {
    if !headers.iter().any(|(name, _)| name == ":authority")
        && let Some((name, _)) = headers.iter_mut().find(|(name, _)| name == "host")
    {
        *name = ":authority".to_owned();
    }
    let there = |wanted: &str| headers.iter().any(|(name, _)| name == wanted);
    if there(":path") && there(":method") && there(":authority") {
        Ok(())
    } else {
        Err(HostcallError::BadArgument)
    }
}

/// 0 is no limit; what a C `int` would call negative is refused.
fn timeout(millis: u32) -> Result<Option<Duration>, HostcallError> {
    match i32::try_from(millis) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(Duration::from_millis(u64::from(millis)))),
        Err(_) => Err(HostcallError::BadArgument),
    }
}

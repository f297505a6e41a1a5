//! Properties: what a guest may read about itself, its stream and its proxy.
//!
//! A path is its segments with a zero byte between. The encodings are Envoy's:
//! text as it is, numbers as eight bytes little-endian, flags as one byte, maps
//! and lists as pairs, messages as protocol buffers.

mod address;
mod attribute;
mod http;
mod path;
mod value;

use self::path::PathSegments;
use self::value::{JsonMessage, PropertyValue};
use super::abi::Profile;
use super::context::{Context, Http, Kind};
use super::state::VmState;
use super::status::{HostcallError, HostcallResult};
use super::stream_info::TcpInfo;

/// Appends the value at `path` to `out`.
pub(super) fn read(state: &VmState, path: &[u8], out: &mut Vec<u8>) -> HostcallResult {
    if let Some(observer) = &state.observer
        && let Some(value) = observer.property(state.acting_id(), path)
    {
        out.extend_from_slice(&value);
        return Ok(());
    }
    let mut rest = PathSegments(path);
    // Envoy's empty path names a null value, which has no encoding.
    let first = rest.next().ok_or(HostcallError::Serialization)?;
    let mut value = top(state, first, &mut rest, path).ok_or(HostcallError::NotFound)?;
    for segment in rest {
        value = value.step(segment).ok_or(HostcallError::NotFound)?;
    }
    value.encode(out)
}

fn top<'a>(
    state: &'a VmState,
    first: &[u8],
    rest: &mut PathSegments<'_>,
    path: &[u8],
) -> Option<PropertyValue<'a>> {
    let context = state.acting()?;
    let tcp = context.connection();
    if let Some(tcp) = tcp
        && let Some(value) = attribute::of_stream(state, context, tcp, first, rest)
    {
        return value;
    }
    match first {
        b"plugin_name" => state
            .plugin()
            .map(|plugin| PropertyValue::Bytes(plugin.name.as_bytes())),
        b"plugin_root_id" => state
            .plugin()
            .map(|plugin| PropertyValue::Bytes(plugin.root_id.as_bytes())),
        b"plugin_vm_id" => Some(PropertyValue::Bytes(state.vm_id.as_bytes())),
        b"node" => Some(PropertyValue::Message(JsonMessage::Node, &state.node)),
        // All that a root knows of it.
        b"xds" => match rest.next() {
            Some(b"node") => Some(PropertyValue::Message(JsonMessage::Node, &state.node)),
            Some(_) => None,
            None => Some(PropertyValue::Opaque),
        },
        b"listener_direction" => Some(PropertyValue::Int(0)),
        _ => {
            // A guest's own: Envoy looks at the first segment only.
            let name = match state.profile {
                Profile::Envoy => first,
                Profile::Spec => {
                    *rest = PathSegments(&[]);
                    path
                }
            };
            tcp?;
            context
                .state
                .get(&own_key(name))
                .map(|value| PropertyValue::Bytes(value.bytes()))
        }
    }
}

/// Where the value a guest wrote under this path is kept.
pub(super) fn own_key(path: &[u8]) -> Vec<u8> {
    [b"wasm.", path].concat()
}

impl Context {
    fn connection(&self) -> Option<&TcpInfo> {
        match &self.kind {
            Kind::Root(_) => None,
            Kind::Tcp(tcp) => Some(&tcp.info),
            Kind::Http(http) => (!http.over).then_some(&http.info.connection),
        }
    }

    fn http(&self) -> Option<&Http> {
        match &self.kind {
            Kind::Http(http) => Some(http),
            Kind::Root(_) | Kind::Tcp(_) => None,
        }
    }
}

//! Properties: what a guest may read about itself, its stream and its proxy.
//!
//! A path is its segments with a zero byte between. The encodings are Envoy's:
//! text as it is, numbers as eight bytes little-endian, flags as one byte, maps
//! and lists as pairs, messages as protocol buffers.

mod attribute;

use std::io::Write as _;
use std::net::SocketAddr;

use serde_json::Value as Json;

use super::abi::{Headers, HostcallError, HostcallResult, Profile};
use super::context::{Context, Http, Kind};
use super::pairs;
use super::protobuf;
use super::state::VmState;
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

/// Something a path leads to.
enum PropertyValue<'a> {
    Bytes(&'a [u8]),
    Owned(Vec<u8>),
    Int(i64),
    Uint(u64),
    Flag(bool),
    Address(SocketAddr),
    Headers(&'a Headers),
    /// A map with nothing in it.
    Empty,
    /// A map that does not tell what it holds.
    Opaque,
    Json(&'a Json),
    Message(JsonMessage, &'a Json),
}

/// Messages of Envoy's that are held as JSON.
#[derive(Clone, Copy)]
enum JsonMessage {
    Metadata,
    Node,
    Locality,
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
                    rest.0 = &[];
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

impl<'a> PropertyValue<'a> {
    fn step(self, name: &[u8]) -> Option<PropertyValue<'a>> {
        match self {
            PropertyValue::Headers(headers) => {
                let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
                attribute::all_values(headers, &name)
            }
            PropertyValue::Json(Json::Object(fields)) => fields
                .get(std::str::from_utf8(name).ok()?)
                .map(PropertyValue::Json),
            PropertyValue::Json(Json::Array(items)) => {
                let index: usize = std::str::from_utf8(name).ok()?.parse().ok()?;
                items.get(index).map(PropertyValue::Json)
            }
            PropertyValue::Message(message, json) => message.field(json, name),
            PropertyValue::Bytes(_)
            | PropertyValue::Owned(_)
            | PropertyValue::Int(_)
            | PropertyValue::Uint(_)
            | PropertyValue::Flag(_)
            | PropertyValue::Address(_)
            | PropertyValue::Empty
            | PropertyValue::Opaque
            | PropertyValue::Json(_) => None,
        }
    }

    fn encode(self, out: &mut Vec<u8>) -> HostcallResult {
        match self {
            PropertyValue::Bytes(bytes) => out.extend_from_slice(bytes),
            PropertyValue::Owned(bytes) => out.extend_from_slice(&bytes),
            PropertyValue::Int(number) => out.extend_from_slice(&number.to_le_bytes()),
            PropertyValue::Uint(number) => out.extend_from_slice(&number.to_le_bytes()),
            PropertyValue::Flag(flag) => out.push(u8::from(flag)),
            PropertyValue::Address(address) => put_address(address, out),
            PropertyValue::Headers(headers) => pairs::encode_headers(headers, out),
            PropertyValue::Empty => pairs::encode(std::iter::empty(), out),
            PropertyValue::Opaque => return Err(HostcallError::Serialization),
            PropertyValue::Json(json) => return encode_json(json, out),
            PropertyValue::Message(JsonMessage::Metadata, json) => {
                protobuf::put_metadata(out, json)
            }
            PropertyValue::Message(JsonMessage::Node, json) => protobuf::put_node(out, json),
            PropertyValue::Message(JsonMessage::Locality, json) => {
                protobuf::put_locality(out, json)
            }
        }
        Ok(())
    }
}

impl JsonMessage {
    /// A field of the message; one that is not set has its default.
    fn field<'a>(self, json: &'a Json, name: &[u8]) -> Option<PropertyValue<'a>> {
        let text = |name| {
            PropertyValue::Bytes(
                json.get(name)
                    .and_then(Json::as_str)
                    .unwrap_or_default()
                    .as_bytes(),
            )
        };
        let map = |name| {
            json.get(name)
                .map_or(PropertyValue::Empty, PropertyValue::Json)
        };
        match (self, name) {
            (JsonMessage::Metadata, b"filter_metadata") => Some(map("filter_metadata")),
            (JsonMessage::Metadata, b"typed_filter_metadata") => Some(PropertyValue::Empty),
            (JsonMessage::Node, b"id") => Some(text("id")),
            (JsonMessage::Node, b"cluster") => Some(text("cluster")),
            (JsonMessage::Node, b"user_agent_name") => Some(text("user_agent_name")),
            (JsonMessage::Node, b"metadata") => Some(map("metadata")),
            (JsonMessage::Node, b"locality") => Some(PropertyValue::Message(
                JsonMessage::Locality,
                json.get("locality").unwrap_or(&NULL),
            )),
            (JsonMessage::Locality, b"region") => Some(text("region")),
            (JsonMessage::Locality, b"zone") => Some(text("zone")),
            (JsonMessage::Locality, b"sub_zone") => Some(text("sub_zone")),
            _ => None,
        }
    }
}

/// Address and port. Asked for on every connection, so IPv4 goes without `fmt`.
fn put_address(address: SocketAddr, out: &mut Vec<u8>) {
    let SocketAddr::V4(address) = address else {
        // Writing to memory does not fail.
        let _ = write!(out, "{address}");
        return;
    };
    for (octet, end) in address.ip().octets().into_iter().zip(*b"...:") {
        put_number(octet.into(), out);
        out.push(end);
    }
    put_number(address.port(), out);
}

fn put_number(number: u16, out: &mut Vec<u8>) {
    for power in [10_000, 1_000, 100, 10] {
        if number >= power {
            out.push(b'0' + (number / power % 10) as u8);
        }
    }
    out.push(b'0' + (number % 10) as u8);
}

/// `google.protobuf.PropertyValue` in Envoy's encoding: all numbers are doubles.
fn encode_json(json: &Json, out: &mut Vec<u8>) -> HostcallResult {
    match json {
        Json::Null => return Err(HostcallError::Serialization),
        Json::Bool(flag) => out.push(u8::from(*flag)),
        Json::Number(number) => {
            out.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
        }
        Json::String(text) => out.extend_from_slice(text.as_bytes()),
        Json::Object(fields) => {
            let mut encoded = Vec::new();
            for (name, value) in fields {
                let mut bytes = Vec::new();
                encode_json(value, &mut bytes)?;
                encoded.push((name.as_bytes(), bytes));
            }
            pairs::encode(
                encoded
                    .iter()
                    .map(|(name, value)| (*name, value.as_slice())),
                out,
            );
        }
        Json::Array(items) => {
            let mut encoded = Vec::new();
            for item in items {
                let mut bytes = Vec::new();
                encode_json(item, &mut bytes)?;
                encoded.push(bytes);
            }
            pairs::encode(encoded.iter().map(|item| (item.as_slice(), &[][..])), out);
        }
    }
    Ok(())
}

/// The segments of a path, in order. A zero byte at the end ends the last one.
struct PathSegments<'a>(&'a [u8]);

impl<'a> Iterator for PathSegments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        match self.0.iter().position(|byte| *byte == 0) {
            Some(zero) => {
                let (segment, rest) = self.0.split_at(zero);
                self.0 = rest.get(1..).unwrap_or_default();
                Some(segment)
            }
            None => Some(std::mem::take(&mut self.0)),
        }
    }
}

static NULL: Json = Json::Null;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

    use super::*;

    #[test]
    fn addresses_are_written_as_everywhere() {
        let addresses = [
            "0.0.0.0:0",
            "10.0.100.9:9",
            "255.255.255.255:65535",
            "127.0.0.1:10",
            "1.20.199.200:10001",
            "[::1]:443",
            "[2001:db8::10]:65535",
        ];
        for text in addresses {
            let mut written = Vec::new();
            put_address(text.parse().unwrap(), &mut written);
            assert_eq!(String::from_utf8_lossy(&written), text);
        }
    }
}

//! Properties: what a guest may read about itself, its stream and its proxy.
//!
//! A path is its segments with a zero byte between. The encodings are Envoy's:
//! text as it is, numbers as eight bytes little-endian, flags as one byte, maps
//! and lists as pairs, messages as protocol buffers.

use std::io::Write as _;
use std::net::SocketAddr;

use serde_json::Value as Json;

use super::abi::{Answer, Headers, Profile, Refusal};
use super::context::{Context, Http, Kind};
use super::hostcall::root::nanos;
use super::pairs;
use super::protobuf;
use super::state::State;
use super::stream::TcpInfo;

/// Appends the value at `path` to `out`.
pub(super) fn read(state: &State, path: &[u8], out: &mut Vec<u8>) -> Answer {
    if let Some(observer) = &state.observer
        && let Some(value) = observer.property(state.acting_id(), path)
    {
        out.extend_from_slice(&value);
        return Ok(());
    }
    let mut rest = Path(path);
    // Envoy's empty path names a null value, which has no encoding.
    let first = rest.next().ok_or(Refusal::Serialization)?;
    let mut value = top(state, first, &mut rest, path).ok_or(Refusal::NotFound)?;
    for segment in rest {
        value = value.step(segment).ok_or(Refusal::NotFound)?;
    }
    value.encode(out)
}

/// Something a path leads to.
enum Value<'a> {
    Bytes(&'a [u8]),
    Owned(Vec<u8>),
    Int(i64),
    Uint(u64),
    Flag(bool),
    Address(SocketAddr),
    Headers(&'a Headers),
    /// A map that does not tell what it holds.
    Opaque,
    Json(&'a Json),
    Message(Message, &'a Json),
}

/// Messages of Envoy's that are held as JSON.
#[derive(Clone, Copy)]
enum Message {
    Metadata,
    Node,
    Locality,
}

fn top<'a>(state: &'a State, first: &[u8], rest: &mut Path<'_>, path: &[u8]) -> Option<Value<'a>> {
    let context = state.acting()?;
    let tcp = context.connection();
    if let Some(tcp) = tcp
        && let Some(value) = of_stream(state, context, tcp, first, rest)
    {
        return value;
    }
    match first {
        b"plugin_name" => state
            .plugin()
            .map(|plugin| Value::Bytes(plugin.name.as_bytes())),
        b"plugin_root_id" => state
            .plugin()
            .map(|plugin| Value::Bytes(plugin.root_id.as_bytes())),
        b"plugin_vm_id" => Some(Value::Bytes(state.vm_id.as_bytes())),
        b"node" => Some(Value::Message(Message::Node, &state.node)),
        b"listener_direction" => Some(Value::Int(0)),
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
                .map(|value| Value::Bytes(value.bytes()))
        }
    }
}

/// Where the value a guest wrote under this path is kept.
pub(super) fn own_key(path: &[u8]) -> Vec<u8> {
    [b"wasm.", path].concat()
}

/// `None`: no property of streams. `Some(None)`: one, but not there.
fn of_stream<'a>(
    state: &'a State,
    context: &'a Context,
    tcp: &'a TcpInfo,
    first: &[u8],
    rest: &mut Path<'_>,
) -> Option<Option<Value<'a>>> {
    let mut within = |of: &dyn Fn(&[u8]) -> Option<Value<'a>>| match rest.next() {
        Some(name) => of(name),
        None => Some(Value::Opaque),
    };
    Some(match first {
        b"source" => within(&|name| peer(tcp.source, name)),
        b"destination" => within(&|name| peer(tcp.destination, name)),
        b"connection" => within(&|name| connection(tcp, name)),
        b"upstream" => within(&|name| upstream(tcp, name)),
        b"request" => within(&|name| request(context.http()?, name)),
        b"response" => within(&|name| response(context, tcp, name)),
        b"xds" => within(&|name| xds(state, context, tcp, name)),
        b"filter_state" => within(&|name| {
            context
                .state
                .get(name)
                .map(|value| Value::Bytes(value.bytes()))
        }),
        b"listener_metadata"
        | b"listener_direction"
        | b"cluster_name"
        | b"upstream_host_metadata"
        | b"route_name" => xds(state, context, tcp, first),
        b"connection_id" => Some(Value::Uint(tcp.connection_id)),
        b"metadata" => Some(Value::Message(Message::Metadata, &NULL)),
        _ => return None,
    })
}

fn peer<'a>(address: SocketAddr, name: &[u8]) -> Option<Value<'a>> {
    match name {
        b"address" => Some(Value::Address(address)),
        b"port" => Some(Value::Int(address.port().into())),
        _ => None,
    }
}

fn connection<'a>(tcp: &'a TcpInfo, name: &[u8]) -> Option<Value<'a>> {
    match name {
        b"id" => Some(Value::Uint(tcp.connection_id)),
        b"mtls" => Some(Value::Flag(false)),
        b"requested_server_name" => Some(Value::Bytes(
            tcp.requested_server_name
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
        )),
        _ => None,
    }
}

fn upstream<'a>(tcp: &'a TcpInfo, name: &[u8]) -> Option<Value<'a>> {
    match name {
        b"address" => tcp
            .upstream
            .as_ref()
            .map(|upstream| Value::Address(upstream.address)),
        b"port" => tcp
            .upstream
            .as_ref()
            .map(|up| Value::Int(up.address.port().into())),
        b"local_address" => tcp
            .upstream
            .as_ref()
            .map(|up| Value::Address(up.local_address)),
        b"request_attempt_count" => Some(Value::Uint(tcp.attempts.into())),
        b"transport_failure_reason" => match &tcp.transport_failure {
            Some(reason) => Some(Value::Bytes(reason.as_bytes())),
            None if tcp.attempts > 0 => Some(Value::Bytes(&[])),
            None => None,
        },
        _ => None,
    }
}

fn request<'a>(http: &'a Http, name: &[u8]) -> Option<Value<'a>> {
    let info = &http.info;
    let header = |name: &str| first_value(&info.request_headers, name).map(Value::Bytes);
    let path = || first_value(&info.request_headers, ":path").unwrap_or_default();
    let query = |path: &'a [u8]| path.iter().position(|byte| *byte == b'?');
    match name {
        b"headers" => Some(Value::Headers(&info.request_headers)),
        b"headers_bytes" => Some(Value::Int(contents(&info.request_headers))),
        b"time" => i64::try_from(info.time.as_nanos()).ok().map(Value::Int),
        b"duration" => info.duration.map(|duration| Value::Uint(nanos(duration))),
        b"size" => match first_value(&info.request_headers, "content-length") {
            Some(length) => std::str::from_utf8(length)
                .ok()?
                .parse()
                .ok()
                .map(Value::Int),
            None => Some(Value::Uint(info.request_size)),
        },
        b"total_size" => Some(Value::Uint(
            info.request_size + contents(&info.request_headers) as u64,
        )),
        b"protocol" => Some(Value::Bytes(info.protocol.as_bytes())),
        b"path" => header(":path"),
        b"url_path" => {
            let path = path();
            Some(Value::Bytes(query(path).map_or(path, |at| &path[..at])))
        }
        b"query" => {
            let path = path();
            let query = query(path).map_or(&[][..], |at| &path[at + 1..]);
            let end = query
                .iter()
                .position(|byte| *byte == b'#')
                .unwrap_or(query.len());
            Some(Value::Bytes(&query[..end]))
        }
        b"host" => header(":authority"),
        b"scheme" => header(":scheme"),
        b"method" => header(":method"),
        b"referer" => header("referer"),
        b"useragent" => header("user-agent"),
        b"id" => header("x-request-id"),
        _ => None,
    }
}

fn response<'a>(context: &'a Context, tcp: &'a TcpInfo, name: &[u8]) -> Option<Value<'a>> {
    if name == b"flags" {
        return Some(Value::Uint(tcp.response_flags));
    }
    let info = &context.http()?.info;
    match name {
        b"code" => {
            let status = first_value(info.response_headers.as_ref()?, ":status")?;
            std::str::from_utf8(status)
                .ok()?
                .parse()
                .ok()
                .map(Value::Int)
        }
        b"code_details" => info
            .code_details
            .as_ref()
            .map(|text| Value::Bytes(text.as_bytes())),
        b"headers" => Some(
            info.response_headers
                .as_ref()
                .map_or(Value::Opaque, Value::Headers),
        ),
        b"headers_bytes" => Some(Value::Int(
            info.response_headers.as_ref().map_or(0, contents),
        )),
        b"trailers" => Some(
            info.response_trailers
                .as_ref()
                .map_or(Value::Opaque, Value::Headers),
        ),
        b"size" => Some(Value::Uint(info.response_size)),
        b"total_size" => {
            let maps = [&info.response_headers, &info.response_trailers];
            let maps: i64 = maps.into_iter().flatten().map(contents).sum();
            Some(Value::Uint(info.response_size + maps as u64))
        }
        b"grpc_status" => {
            let maps = [&info.response_trailers, &info.response_headers];
            let status = maps
                .into_iter()
                .flatten()
                .find_map(|map| first_value(map, "grpc-status"))?;
            std::str::from_utf8(status)
                .ok()?
                .parse()
                .ok()
                .map(Value::Int)
        }
        _ => None,
    }
}

fn xds<'a>(
    state: &'a State,
    context: &'a Context,
    tcp: &'a TcpInfo,
    name: &[u8],
) -> Option<Value<'a>> {
    match name {
        b"node" => Some(Value::Message(Message::Node, &state.node)),
        b"cluster_name" => tcp
            .upstream
            .as_ref()
            .map(|upstream| Value::Bytes(upstream.cluster.as_bytes())),
        b"upstream_host_metadata" => tcp
            .upstream
            .as_ref()
            .map(|upstream| Value::Message(Message::Metadata, &upstream.metadata)),
        b"listener_metadata" => Some(Value::Message(Message::Metadata, &tcp.listener_metadata)),
        b"listener_direction" => Some(Value::Int(tcp.listener_direction as i64)),
        b"filter_chain_name" => Some(Value::Bytes(&[])),
        b"route_name" => {
            let name = context
                .http()
                .and_then(|http| http.info.route_name.as_deref());
            Some(Value::Bytes(name.unwrap_or_default().as_bytes()))
        }
        _ => None,
    }
}

impl Context {
    fn connection(&self) -> Option<&TcpInfo> {
        match &self.kind {
            Kind::Root(_) => None,
            Kind::Tcp(tcp) => Some(&tcp.info),
            Kind::Http(http) => Some(&http.info.connection),
        }
    }

    fn http(&self) -> Option<&Http> {
        match &self.kind {
            Kind::Http(http) => Some(http),
            Kind::Root(_) | Kind::Tcp(_) => None,
        }
    }
}

impl<'a> Value<'a> {
    fn step(self, name: &[u8]) -> Option<Value<'a>> {
        match self {
            Value::Headers(headers) => {
                let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
                all_values(headers, &name)
            }
            Value::Json(Json::Object(fields)) => {
                fields.get(std::str::from_utf8(name).ok()?).map(Value::Json)
            }
            Value::Json(Json::Array(items)) => {
                let index: usize = std::str::from_utf8(name).ok()?.parse().ok()?;
                items.get(index).map(Value::Json)
            }
            Value::Message(message, json) => message.field(json, name),
            Value::Bytes(_)
            | Value::Owned(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Flag(_)
            | Value::Address(_)
            | Value::Opaque
            | Value::Json(_) => None,
        }
    }

    fn encode(self, out: &mut Vec<u8>) -> Answer {
        match self {
            Value::Bytes(bytes) => out.extend_from_slice(bytes),
            Value::Owned(bytes) => out.extend_from_slice(&bytes),
            Value::Int(number) => out.extend_from_slice(&number.to_le_bytes()),
            Value::Uint(number) => out.extend_from_slice(&number.to_le_bytes()),
            Value::Flag(flag) => out.push(u8::from(flag)),
            Value::Address(address) => {
                // Writing to memory does not fail.
                let _ = write!(out, "{address}");
            }
            Value::Headers(headers) => pairs::encode_headers(headers, out),
            Value::Opaque => pairs::encode(std::iter::empty(), out),
            Value::Json(json) => return encode_json(json, out),
            Value::Message(Message::Metadata, json) => protobuf::put_metadata(out, json),
            Value::Message(Message::Node, json) => protobuf::put_node(out, json),
            Value::Message(Message::Locality, json) => protobuf::put_locality(out, json),
        }
        Ok(())
    }
}

impl Message {
    /// A field of the message; one that is not set has its default.
    fn field<'a>(self, json: &'a Json, name: &[u8]) -> Option<Value<'a>> {
        let text = |name| {
            Value::Bytes(
                json.get(name)
                    .and_then(Json::as_str)
                    .unwrap_or_default()
                    .as_bytes(),
            )
        };
        let map = |name| json.get(name).map_or(Value::Opaque, Value::Json);
        match (self, name) {
            (Message::Metadata, b"filter_metadata") => Some(map("filter_metadata")),
            (Message::Metadata, b"typed_filter_metadata") => Some(Value::Opaque),
            (Message::Node, b"id") => Some(text("id")),
            (Message::Node, b"cluster") => Some(text("cluster")),
            (Message::Node, b"user_agent_name") => Some(text("user_agent_name")),
            (Message::Node, b"metadata") => Some(map("metadata")),
            (Message::Node, b"locality") => Some(Value::Message(
                Message::Locality,
                json.get("locality").unwrap_or(&NULL),
            )),
            (Message::Locality, b"region") => Some(text("region")),
            (Message::Locality, b"zone") => Some(text("zone")),
            (Message::Locality, b"sub_zone") => Some(text("sub_zone")),
            _ => None,
        }
    }
}

/// `google.protobuf.Value` in Envoy's encoding: all numbers are doubles.
fn encode_json(json: &Json, out: &mut Vec<u8>) -> Answer {
    match json {
        Json::Null => return Err(Refusal::Serialization),
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

fn first_value<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_slice())
}

/// The values of a header that may be there several times, with commas between.
fn all_values<'a>(headers: &'a Headers, name: &str) -> Option<Value<'a>> {
    let mut values = headers
        .iter()
        .filter(|(known, _)| known == name)
        .map(|(_, value)| value);
    let first = values.next()?;
    let mut rest = values.peekable();
    if rest.peek().is_none() {
        return Some(Value::Bytes(first));
    }
    let mut joined = first.clone();
    for value in rest {
        joined.push(b',');
        joined.extend_from_slice(value);
    }
    Some(Value::Owned(joined))
}

/// Bytes of all names and values.
fn contents(headers: &Headers) -> i64 {
    headers
        .iter()
        .map(|(name, value)| (name.len() + value.len()) as i64)
        .sum()
}

/// The segments of a path, in order. A zero byte at the end ends the last one.
struct Path<'a>(&'a [u8]);

impl<'a> Iterator for Path<'a> {
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

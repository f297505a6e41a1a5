//! Attributes of connections and requests, by Envoy's names.

use std::net::SocketAddr;

use super::{Message, NULL, Path, Value};
use crate::abi::{Headers, MapKind};
use crate::context::{Context, Http};
use crate::envoy::grpc_status;
use crate::hostcall::root::nanos;
use crate::state::State;
use crate::stream::TcpInfo;

/// `None`: no property of streams. `Some(None)`: one, but not there.
pub(super) fn of_stream<'a>(
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
        b"upstream" => within(&|name| upstream(context, tcp, name)),
        b"request" => within(&|name| match context.http() {
            Some(http) => request(state, http, name),
            None => request_of_tcp(tcp, name),
        }),
        b"response" => within(&|name| response(state, context, tcp, name)),
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

fn upstream<'a>(context: &Context, tcp: &'a TcpInfo, name: &[u8]) -> Option<Value<'a>> {
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
        b"transport_failure_reason" if context.http().is_some() && tcp.upstream.is_none() => None,
        b"transport_failure_reason" => Some(Value::Bytes(
            tcp.transport_failure
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
        )),
        _ => None,
    }
}

/// In Envoy the headers are there in their own callback, while that holds them,
/// and in the access log.
fn request<'a>(state: &State, http: &'a Http, name: &[u8]) -> Option<Value<'a>> {
    let info = &http.info;
    let headers = state.shown(http, MapKind::RequestHeaders);
    let header = |name: &str| first_value(headers?, name).map(Value::Bytes);
    let path = || first_value(headers?, ":path");
    let query = |path: &'a [u8]| path.iter().position(|byte| *byte == b'?');
    match name {
        b"headers" => Some(headers.map_or(Value::Empty, Value::Headers)),
        b"headers_bytes" => Some(Value::Int(headers.map_or(0, contents))),
        b"time" => Some(Value::Uint(nanos(info.time))),
        b"duration" => info.duration.map(|duration| Value::Uint(nanos(duration))),
        b"size" => match headers.and_then(|headers| first_value(headers, "content-length")) {
            Some(length) => std::str::from_utf8(length)
                .ok()?
                .parse()
                .ok()
                .map(Value::Int),
            None => Some(Value::Uint(info.request_size)),
        },
        b"total_size" => Some(Value::Uint(
            info.request_size + headers.map_or(0, contents) as u64,
        )),
        b"protocol" => Some(Value::Bytes(info.protocol.as_bytes())),
        b"path" => header(":path"),
        b"url_path" => {
            let path = path()?;
            Some(Value::Bytes(query(path).map_or(path, |at| &path[..at])))
        }
        b"query" => {
            let path = path()?;
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

/// What Envoy makes of a connection where a request is asked for.
fn request_of_tcp<'a>(tcp: &TcpInfo, name: &[u8]) -> Option<Value<'a>> {
    match name {
        b"headers" => Some(Value::Empty),
        b"headers_bytes" => Some(Value::Int(0)),
        b"size" | b"total_size" => Some(Value::Uint(tcp.received)),
        b"time" if !tcp.time.is_zero() => Some(Value::Uint(nanos(tcp.time))),
        _ => None,
    }
}

fn response<'a>(
    state: &State,
    context: &'a Context,
    tcp: &'a TcpInfo,
    name: &[u8],
) -> Option<Value<'a>> {
    if name == b"flags" {
        return Some(Value::Uint(tcp.response_flags));
    }
    let Some(http) = context.http() else {
        return match name {
            b"headers" | b"trailers" => Some(Value::Empty),
            b"headers_bytes" => Some(Value::Int(0)),
            b"size" | b"total_size" => Some(Value::Uint(tcp.sent)),
            _ => None,
        };
    };
    let info = &http.info;
    let headers = state.shown(http, MapKind::ResponseHeaders);
    let trailers = state.shown(http, MapKind::ResponseTrailers);
    match name {
        b"code" => code(http).map(Value::Int),
        b"code_details" => info
            .code_details
            .as_ref()
            .map(|text| Value::Bytes(text.as_bytes())),
        b"headers" => Some(headers.map_or(Value::Empty, Value::Headers)),
        b"headers_bytes" => Some(Value::Int(headers.map_or(0, contents))),
        b"trailers" => Some(trailers.map_or(Value::Empty, Value::Headers)),
        b"size" => Some(Value::Uint(info.response_size)),
        b"total_size" => {
            let maps: i64 = [headers, trailers]
                .into_iter()
                .flatten()
                .map(contents)
                .sum();
            Some(Value::Uint(info.response_size + maps as u64))
        }
        b"grpc_status" => {
            let maps = [trailers, headers].into_iter().flatten();
            let told = maps
                .filter_map(|map| first_value(map, "grpc-status"))
                .next();
            match told {
                Some(status) => std::str::from_utf8(status)
                    .ok()?
                    .parse()
                    .ok()
                    .map(Value::Int),
                None => code(http).map(|code| {
                    let code = u32::try_from(code).unwrap_or_default();
                    Value::Int(grpc_status::of_http(code).into())
                }),
            }
        }
        _ => None,
    }
}

fn code(http: &Http) -> Option<i64> {
    let status = first_value(http.info.response_headers.as_ref()?, ":status")?;
    std::str::from_utf8(status).ok()?.parse().ok()
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
            let name = context.http()?.info.route_name.as_deref()?;
            Some(Value::Bytes(name.as_bytes()))
        }
        _ => None,
    }
}

fn first_value<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_slice())
}

/// The values of a header that may be there several times, with commas between.
pub(super) fn all_values<'a>(headers: &'a Headers, name: &str) -> Option<Value<'a>> {
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

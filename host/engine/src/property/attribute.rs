//! Attributes of connections, by Envoy's names.

use std::net::SocketAddr;

use super::http;
use super::path::PathSegments;
use super::value::{JsonMessage, NULL, PropertyValue};
use crate::context::Context;
use crate::hostcall::root::nanos;
use crate::state::VmState;
use crate::stream_info::TcpInfo;

/// `None`: no property of streams. `Some(None)`: one, but not there.
pub(super) fn of_stream<'a>(
    state: &'a VmState,
    context: &'a Context,
    tcp: &'a TcpInfo,
    first: &[u8],
    rest: &mut PathSegments<'_>,
) -> Option<Option<PropertyValue<'a>>> {
    let mut within = |of: &dyn Fn(&[u8]) -> Option<PropertyValue<'a>>| match rest.next() {
        Some(name) => of(name),
        None => Some(PropertyValue::Opaque),
    };
    Some(match first {
        b"source" => within(&|name| peer(tcp.source, name)),
        b"destination" => within(&|name| peer(tcp.destination, name)),
        b"connection" => within(&|name| connection(tcp, name)),
        b"upstream" => within(&|name| upstream(context, tcp, name)),
        b"request" => within(&|name| match context.http() {
            Some(http) => http::request(state, http, name),
            None => request_of_tcp(tcp, name),
        }),
        b"response" => within(&|name| match context.http() {
            _ if name == b"flags" => Some(PropertyValue::Uint(tcp.response_flags)),
            Some(http) => http::response(state, http, name),
            None => response_of_tcp(tcp, name),
        }),
        b"xds" => within(&|name| xds(state, context, tcp, name)),
        b"filter_state" => within(&|name| {
            context
                .state
                .get(name)
                .map(|value| PropertyValue::Bytes(value.bytes()))
        }),
        b"listener_metadata"
        | b"listener_direction"
        | b"cluster_name"
        | b"upstream_host_metadata"
        | b"route_name" => xds(state, context, tcp, first),
        b"connection_id" => Some(PropertyValue::Uint(tcp.connection_id)),
        b"metadata" => Some(PropertyValue::Message(JsonMessage::Metadata, &NULL)),
        _ => return None,
    })
}

fn peer<'a>(address: SocketAddr, name: &[u8]) -> Option<PropertyValue<'a>> {
    match name {
        b"address" => Some(PropertyValue::Address(address)),
        b"port" => Some(PropertyValue::Int(address.port().into())),
        _ => None,
    }
}

fn connection<'a>(tcp: &'a TcpInfo, name: &[u8]) -> Option<PropertyValue<'a>> {
    match name {
        b"id" => Some(PropertyValue::Uint(tcp.connection_id)),
        b"mtls" => Some(PropertyValue::Flag(false)),
        b"requested_server_name" => Some(PropertyValue::Bytes(
            tcp.requested_server_name
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
        )),
        _ => None,
    }
}

fn upstream<'a>(context: &Context, tcp: &'a TcpInfo, name: &[u8]) -> Option<PropertyValue<'a>> {
    match name {
        b"address" => tcp
            .upstream
            .as_ref()
            .map(|upstream| PropertyValue::Address(upstream.address)),
        b"port" => tcp
            .upstream
            .as_ref()
            .map(|up| PropertyValue::Int(up.address.port().into())),
        b"local_address" => tcp
            .upstream
            .as_ref()
            .map(|up| PropertyValue::Address(up.local_address)),
        b"request_attempt_count" => Some(PropertyValue::Uint(tcp.attempts.into())),
        b"transport_failure_reason" if context.http().is_some() && tcp.upstream.is_none() => None,
        b"transport_failure_reason" => Some(PropertyValue::Bytes(
            tcp.transport_failure
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
        )),
        _ => None,
    }
}

/// What Envoy makes of a connection where a request is asked for.
fn request_of_tcp<'a>(tcp: &TcpInfo, name: &[u8]) -> Option<PropertyValue<'a>> {
    match name {
        b"headers" => Some(PropertyValue::Empty),
        b"headers_bytes" => Some(PropertyValue::Int(0)),
        b"size" | b"total_size" => Some(PropertyValue::Uint(tcp.received)),
        b"time" if !tcp.time.is_zero() => Some(PropertyValue::Uint(nanos(tcp.time))),
        _ => None,
    }
}

/// What Envoy makes of a connection where a response is asked for.
fn response_of_tcp<'a>(tcp: &TcpInfo, name: &[u8]) -> Option<PropertyValue<'a>> {
    match name {
        b"headers" | b"trailers" => Some(PropertyValue::Empty),
        b"headers_bytes" => Some(PropertyValue::Int(0)),
        b"size" | b"total_size" => Some(PropertyValue::Uint(tcp.sent)),
        _ => None,
    }
}

fn xds<'a>(
    state: &'a VmState,
    context: &'a Context,
    tcp: &'a TcpInfo,
    name: &[u8],
) -> Option<PropertyValue<'a>> {
    match name {
        b"node" => Some(PropertyValue::Message(JsonMessage::Node, &state.node)),
        b"cluster_name" => tcp
            .upstream
            .as_ref()
            .map(|upstream| PropertyValue::Bytes(upstream.cluster.as_bytes())),
        b"upstream_host_metadata" => tcp
            .upstream
            .as_ref()
            .map(|upstream| PropertyValue::Message(JsonMessage::Metadata, &upstream.metadata)),
        b"listener_metadata" => Some(PropertyValue::Message(
            JsonMessage::Metadata,
            &tcp.listener_metadata,
        )),
        b"listener_direction" => Some(PropertyValue::Int(tcp.listener_direction as i64)),
        b"filter_chain_name" => Some(PropertyValue::Bytes(&[])),
        b"route_name" => {
            let name = context.http()?.info.route_name.as_deref()?;
            Some(PropertyValue::Bytes(name.as_bytes()))
        }
        _ => None,
    }
}

//! Attributes of requests and responses, by Envoy's names.

use super::value::PropertyValue;
use crate::abi::{Headers, MapKind};
use crate::context::Http;
use crate::envoy::grpc_status;
use crate::hostcall::root::nanos;
use crate::state::VmState;

/// In Envoy the headers are there in their own callback, while that holds them,
/// and in the access log.
pub(super) fn request<'a>(
    state: &VmState,
    http: &'a Http,
    name: &[u8],
) -> Option<PropertyValue<'a>> {
    let info = &http.info;
    let headers = state.shown(http, MapKind::RequestHeaders);
    let header = |name: &str| first_value(headers?, name).map(PropertyValue::Bytes);
    let path = || first_value(headers?, ":path");
    let query = |path: &'a [u8]| path.iter().position(|byte| *byte == b'?');
    match name {
        b"headers" => Some(headers.map_or(PropertyValue::Empty, PropertyValue::Headers)),
        b"headers_bytes" => Some(PropertyValue::Int(headers.map_or(0, contents))),
        b"time" => Some(PropertyValue::Uint(nanos(info.time))),
        b"duration" => info
            .duration
            .map(|duration| PropertyValue::Uint(nanos(duration))),
        b"size" => match headers.and_then(|headers| first_value(headers, "content-length")) {
            Some(length) => std::str::from_utf8(length)
                .ok()?
                .parse()
                .ok()
                .map(PropertyValue::Int),
            None => Some(PropertyValue::Uint(info.request_size)),
        },
        b"total_size" => Some(PropertyValue::Uint(
            info.request_size + headers.map_or(0, contents) as u64,
        )),
        b"protocol" => Some(PropertyValue::Bytes(info.protocol.as_bytes())),
        b"path" => header(":path"),
        b"url_path" => {
            let path = path()?;
            Some(PropertyValue::Bytes(
                query(path).map_or(path, |at| &path[..at]),
            ))
        }
        b"query" => {
            let path = path()?;
            let query = query(path).map_or(&[][..], |at| &path[at + 1..]);
            let end = query
                .iter()
                .position(|byte| *byte == b'#')
                .unwrap_or(query.len());
            Some(PropertyValue::Bytes(&query[..end]))
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

pub(super) fn response<'a>(
    state: &VmState,
    http: &'a Http,
    name: &[u8],
) -> Option<PropertyValue<'a>> {
    let info = &http.info;
    let headers = state.shown(http, MapKind::ResponseHeaders);
    let trailers = state.shown(http, MapKind::ResponseTrailers);
    match name {
        b"code" => code(http).map(PropertyValue::Int),
        b"code_details" => info
            .code_details
            .as_ref()
            .map(|text| PropertyValue::Bytes(text.as_bytes())),
        b"headers" => Some(headers.map_or(PropertyValue::Empty, PropertyValue::Headers)),
        b"headers_bytes" => Some(PropertyValue::Int(headers.map_or(0, contents))),
        b"trailers" => Some(trailers.map_or(PropertyValue::Empty, PropertyValue::Headers)),
        b"size" => Some(PropertyValue::Uint(info.response_size)),
        b"total_size" => {
            let maps: i64 = [headers, trailers]
                .into_iter()
                .flatten()
                .map(contents)
                .sum();
            Some(PropertyValue::Uint(info.response_size + maps as u64))
        }
        b"grpc_status" => {
            let maps = [trailers, headers].into_iter().flatten();
            let status = maps
                .filter_map(|map| first_value(map, "grpc-status"))
                .next();
            match status {
                Some(status) => std::str::from_utf8(status)
                    .ok()?
                    .parse()
                    .ok()
                    .map(PropertyValue::Int),
                None => code(http).map(|code| {
                    let code = u32::try_from(code).unwrap_or_default();
                    PropertyValue::Int(grpc_status::of_http(code).into())
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

fn first_value<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_slice())
}

/// Bytes of all names and values.
fn contents(headers: &Headers) -> i64 {
    headers
        .iter()
        .map(|(name, value)| (name.len() + value.len()) as i64)
        .sum()
}

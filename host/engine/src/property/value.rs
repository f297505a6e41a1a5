//! Values of properties, in Envoy's encodings.

use std::net::SocketAddr;

use serde_json::Value as Json;

use super::address::put_address;
use crate::abi::Headers;
use crate::status::{HostcallError, HostcallResult};
use crate::{envoy_message, pairs};

/// Something a path leads to.
pub(super) enum PropertyValue<'a> {
    Bytes(&'a [u8]),
    Owned(Vec<u8>),
    Int(i64),
    Uint(u64),
    Flag(bool),
    Address(SocketAddr),
    Headers(&'a Headers),
    /// A map with nothing in it.
    Empty,
    /// A map that can only be descended into.
    Opaque,
    Json(&'a Json),
    Message(JsonMessage, &'a Json),
}

/// Messages of Envoy's that are held as JSON.
#[derive(Clone, Copy)]
pub(super) enum JsonMessage {
    Metadata,
    Node,
    Locality,
}

impl<'a> PropertyValue<'a> {
    pub(super) fn step(self, name: &[u8]) -> Option<PropertyValue<'a>> {
        match self {
            PropertyValue::Headers(headers) => {
                let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
                all_values(headers, &name)
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

    pub(super) fn encode(self, out: &mut Vec<u8>) -> HostcallResult {
        match self {
            PropertyValue::Bytes(bytes) => out.extend_from_slice(bytes),
            PropertyValue::Owned(bytes) => out.extend_from_slice(&bytes),
            PropertyValue::Int(number) => out.extend_from_slice(&number.to_le_bytes()),
            PropertyValue::Uint(number) => out.extend_from_slice(&number.to_le_bytes()),
            PropertyValue::Flag(flag) => out.push(u8::from(flag)),
            PropertyValue::Address(address) => put_address(address, out),
            PropertyValue::Headers(headers) => pairs::append_headers(headers, out),
            PropertyValue::Empty => pairs::append(std::iter::empty(), out),
            PropertyValue::Opaque => return Err(HostcallError::Serialization),
            PropertyValue::Json(json) => return encode_json(json, out),
            PropertyValue::Message(JsonMessage::Metadata, json) => {
                envoy_message::put_metadata(out, json)
            }
            PropertyValue::Message(JsonMessage::Node, json) => envoy_message::put_node(out, json),
            PropertyValue::Message(JsonMessage::Locality, json) => {
                envoy_message::put_locality(out, json)
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

/// The values of a header that may be there several times, with commas between.
fn all_values<'a>(headers: &'a Headers, name: &str) -> Option<PropertyValue<'a>> {
    let mut values = headers
        .iter()
        .filter(|(known, _)| known == name)
        .map(|(_, value)| value);
    let first = values.next()?;
    let mut rest = values.peekable();
    if rest.peek().is_none() {
        return Some(PropertyValue::Bytes(first));
    }
    let mut joined = first.clone();
    for value in rest {
        joined.push(b',');
        joined.extend_from_slice(value);
    }
    Some(PropertyValue::Owned(joined))
}

/// `google.protobuf.Value` in Envoy's encoding: all numbers are doubles.
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
            pairs::append(
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
            pairs::append(encoded.iter().map(|item| (item.as_slice(), &[][..])), out);
        }
    }
    Ok(())
}

/// A message that is not set.
pub(super) static NULL: Json = Json::Null;

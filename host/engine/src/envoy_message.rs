//! Envoy's messages that guests read as properties, from the JSON they are held as.

use serde_json::Value;

use super::protobuf::{put_bytes, put_message};

/// Appends a `google.protobuf.Struct`.
pub(super) fn put_struct(out: &mut Vec<u8>, fields: &serde_json::Map<String, Value>) {
    for (name, value) in fields {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, name.as_bytes());
        let mut inner = Vec::new();
        put_value(&mut inner, value);
        put_message(&mut entry, 2, &inner);
        put_message(out, 1, &entry);
    }
}

/// Appends a `google.protobuf.Value`.
fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(&[1 << 3, 0]),
        Value::Bool(flag) => out.extend_from_slice(&[4 << 3, u8::from(*flag)]),
        Value::Number(number) => {
            out.push(2 << 3 | 1);
            out.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
        }
        Value::String(text) => put_message(out, 3, text.as_bytes()),
        Value::Object(fields) => {
            let mut inner = Vec::new();
            put_struct(&mut inner, fields);
            put_message(out, 5, &inner);
        }
        Value::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                let mut inner = Vec::new();
                put_value(&mut inner, item);
                put_message(&mut list, 1, &inner);
            }
            put_message(out, 6, &list);
        }
    }
}

/// Appends an `envoy.config.core.v3.Metadata`.
pub(super) fn put_metadata(out: &mut Vec<u8>, metadata: &Value) {
    let Some(Value::Object(filters)) = metadata.get("filter_metadata") else {
        return;
    };
    for (name, value) in filters {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, name.as_bytes());
        let mut inner = Vec::new();
        if let Value::Object(fields) = value {
            put_struct(&mut inner, fields);
        }
        put_message(&mut entry, 2, &inner);
        put_message(out, 1, &entry);
    }
}

/// Appends the parts of an `envoy.config.core.v3.Node` a host can have.
pub(super) fn put_node(out: &mut Vec<u8>, node: &Value) {
    let text = |value: Option<&Value>| {
        value
            .and_then(Value::as_str)
            .unwrap_or_default()
            .as_bytes()
            .to_vec()
    };
    put_bytes(out, 1, &text(node.get("id")));
    put_bytes(out, 2, &text(node.get("cluster")));
    if let Some(Value::Object(fields)) = node.get("metadata") {
        let mut inner = Vec::new();
        put_struct(&mut inner, fields);
        put_message(out, 3, &inner);
    }
    if let Some(locality) = node.get("locality") {
        let mut inner = Vec::new();
        put_locality(&mut inner, locality);
        put_message(out, 4, &inner);
    }
}

/// Appends an `envoy.config.core.v3.Locality`.
pub(super) fn put_locality(out: &mut Vec<u8>, locality: &Value) {
    for (number, name) in [(1, "region"), (2, "zone"), (3, "sub_zone")] {
        let text = locality
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default();
        put_bytes(out, number, text.as_bytes());
    }
}

#[cfg(test)]
mod tests;

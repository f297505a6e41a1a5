#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeMap;

use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as ProtoValue};
use serde_json::json;

use super::*;

/// `envoy.config.core.v3.Metadata`
#[derive(PartialEq, Message)]
struct Metadata {
    #[prost(btree_map = "string, message", tag = "1")]
    filter_metadata: BTreeMap<String, Struct>,
}

/// `envoy.config.core.v3.Node`, the parts a host has.
#[derive(PartialEq, Message)]
struct Node {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    cluster: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<Struct>,
    #[prost(message, optional, tag = "4")]
    locality: Option<Locality>,
}

/// `envoy.config.core.v3.Locality`
#[derive(PartialEq, Message)]
struct Locality {
    #[prost(string, tag = "1")]
    region: String,
    #[prost(string, tag = "2")]
    zone: String,
    #[prost(string, tag = "3")]
    sub_zone: String,
}

fn written(put: fn(&mut Vec<u8>, &Value), json: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, json);
    out
}

fn to_struct(json: &Value) -> Struct {
    let fields = json.as_object().unwrap();
    let entry = |(name, value): (&String, &Value)| (name.clone(), to_value(value));
    Struct {
        fields: fields.iter().map(entry).collect(),
    }
}

fn to_value(json: &Value) -> ProtoValue {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Object(_) => Kind::StructValue(to_struct(json)),
        Value::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(to_value).collect(),
        }),
    };
    ProtoValue { kind: Some(kind) }
}

/// One of each kind of value, and sizes on both sides of a varint's bounds.
fn everything() -> Value {
    json!({
        "": "an empty name",
        "array": [1, "two", [], {}, null, [false]],
        "empty": "",
        "false": false,
        "float": -0.25,
        "large": u64::MAX,
        "long": "x".repeat(127),
        "longer": "x".repeat(128),
        "longest": "x".repeat(1 << 14),
        "negative": -3,
        "null": null,
        "object": {"a": {"b": {"c": "\u{1f980}"}}},
        "true": true,
        "zero": 0,
    })
}

#[test]
fn prost_reads_metadata_as_it_was() {
    let json = json!({"filter_metadata": {
        "dtr": everything(),
        "empty": {},
    }});
    let bytes = written(put_metadata, &json);
    let filters = json["filter_metadata"].as_object().unwrap();
    let expected = Metadata {
        filter_metadata: filters
            .iter()
            .map(|(name, value)| (name.clone(), to_struct(value)))
            .collect(),
    };
    assert_eq!(Metadata::decode(&*bytes).unwrap(), expected);
}

#[test]
fn prost_reads_a_node_as_it_was() {
    let json = json!({
        "id": "sidecar-1",
        "cluster": "balancers",
        "metadata": everything(),
        "locality": {"region": "eu", "zone": "eu-1", "sub_zone": "a"},
    });
    let expected = Node {
        id: "sidecar-1".into(),
        cluster: "balancers".into(),
        metadata: Some(to_struct(&json["metadata"])),
        locality: Some(Locality {
            region: "eu".into(),
            zone: "eu-1".into(),
            sub_zone: "a".into(),
        }),
    };
    let bytes = written(put_node, &json);
    assert_eq!(Node::decode(&*bytes).unwrap(), expected);

    let bare = json!({"id": "", "locality": {}});
    let bytes = written(put_node, &bare);
    let expected = Node {
        locality: Some(Locality::default()),
        ..Node::default()
    };
    assert_eq!(bytes, expected.encode_to_vec(), "defaults are left out");
}

#[test]
fn metadata_is_written_as_envoy_writes_it() {
    let metadata = json!({"filter_metadata": {"dtr": {"port": "443"}}});
    let expected = b"\x0a\x16\x0a\x03dtr\x12\x0f\x0a\x0d\x0a\x04port\x12\x05\x1a\x03443";
    assert_eq!(written(put_metadata, &metadata), expected);
}

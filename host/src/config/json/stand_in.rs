//! What stands in for a value that was refused, so that the rest can be checked: it
//! clashes with nothing else in the file.

use serde_json::{Value, json};
use serde_path_to_error::Segment;

use super::node::{Json, Node};

/// For a field that an object needs.
pub(super) fn for_field(field: &str, unique: usize) -> Json {
    match field {
        "services" | "replicas" | "listeners" | "clusters" | "endpoints" => Json::List(Vec::new()),
        "bind" => Json::Scalar("127.0.0.1:0".into()),
        "pointer" | "wasm" => Json::Scalar("".into()),
        "healthy" => Json::Scalar(Value::Null),
        // An address, or a name: no other has it (RFC 2606).
        _ => Json::Scalar(format!("refused-{unique}.invalid").into()),
    }
}

/// For an element of the list at the end of this path.
pub(super) fn for_element(list: &[Segment], unique: usize) -> Json {
    let Some(Segment::Map { key }) = list.last() else {
        return Json::Object(Vec::new());
    };
    let value = match key.as_str() {
        "statuses" => json!(200),
        "capabilities" => json!("proxy_log"),
        "names" => json!(format!("refused-{unique}.invalid")),
        // An address of no machine (RFC 5737), and a network.
        "nameservers" | "allow" | "deny" | "accept_proxy_from" => json!("192.0.2.1"),
        "endpoints" => json!(format!("refused-{unique}.invalid:1")),
        _ => return Json::Object(Vec::new()),
    };
    Json::Scalar(value)
}

/// A value at a place.
pub(super) fn node(offset: usize, json: Json) -> Node {
    Node { offset, json }
}

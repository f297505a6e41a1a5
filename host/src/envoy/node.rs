//! Pieces of YAML, in the order they are written.

use std::net::SocketAddr;
use std::time::Duration;

use crate::plan::Host;

pub(super) type Node = yaml_serde::Value;

pub(super) fn map<const N: usize>(fields: [(&str, Node); N]) -> Node {
    let fields = fields.into_iter().map(|(name, node)| (text(name), node));
    Node::Mapping(fields.collect())
}

pub(super) fn list(nodes: impl IntoIterator<Item = Node>) -> Node {
    Node::Sequence(nodes.into_iter().collect())
}

pub(super) fn text(text: impl Into<String>) -> Node {
    Node::String(text.into())
}

pub(super) fn number(number: u32) -> Node {
    Node::Number(number.into())
}

/// An extension's configuration, with its type.
pub(super) fn typed<const N: usize>(kind: &str, fields: [(&str, Node); N]) -> Node {
    let kind = text(format!("type.googleapis.com/{kind}"));
    let kind = [(text("@type"), kind)].into_iter();
    let fields = fields.into_iter().map(|(name, node)| (text(name), node));
    Node::Mapping(kind.chain(fields).collect())
}

/// A field that is there only sometimes.
pub(super) fn with(node: Node, name: &str, more: Option<Node>) -> Node {
    match (node, more) {
        (Node::Mapping(mut fields), Some(more)) => {
            fields.insert(text(name), more);
            Node::Mapping(fields)
        }
        (node, _) => node,
    }
}

/// A time as protobuf's JSON has it, such as `0.5s`.
pub(super) fn time(time: Duration) -> Node {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    match millis {
        0 => text(format!("{seconds}s")),
        _ => text(format!("{seconds}.{millis:03}s")),
    }
}

pub(super) fn socket(address: SocketAddr) -> Node {
    address_of(address.ip().to_string(), address.port())
}

pub(super) fn endpoint(host: &Host, port: u16) -> Node {
    match host {
        Host::Ip(ip) => address_of(ip.to_string(), port),
        Host::Name(name) => address_of(name.clone(), port),
    }
}

fn address_of(address: String, port: u16) -> Node {
    let socket = map([
        ("address", text(address)),
        ("port_value", number(port.into())),
    ]);
    map([("socket_address", socket)])
}

/// Metadata the filter reads: `filter_metadata.dtr.NAME`.
pub(super) fn metadata(name: &str, value: &str) -> Node {
    let dtr = map([(name, text(value))]);
    map([("filter_metadata", map([("dtr", dtr)]))])
}

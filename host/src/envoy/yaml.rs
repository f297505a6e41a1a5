//! Pieces of YAML, in the order they are written.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dtr_lb_filter::contract::METADATA;

use crate::config::Address;

pub(super) type Node = yaml_serde::Value;

/// A piece of YAML, written like JSON. Names and values that are expressions of
/// Rust stand in parentheses; a field whose value is null is left out.
macro_rules! yaml {
    ({ $($name:tt: $value:tt),* $(,)? }) => {
        $crate::envoy::yaml::object([$((yaml!($name), yaml!($value))),*])
    };
    ([ $($item:tt),* $(,)? ]) => {
        $crate::envoy::yaml::Node::Sequence(vec![$(yaml!($item)),*])
    };
    (($value:expr)) => {
        $crate::envoy::yaml::Node::from($value)
    };
    ($value:literal) => {
        $crate::envoy::yaml::Node::from($value)
    };
}

pub(super) use yaml;

/// What [`yaml!`] makes of braces.
pub(super) fn object<const N: usize>(fields: [(Node, Node); N]) -> Node {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    Node::Mapping(given.collect())
}

/// The fields of an object, and some more.
pub(super) fn extend<const N: usize>(node: Node, more: [(&str, Node); N]) -> Node {
    let Node::Mapping(mut fields) = node else {
        return node;
    };
    let given = more.into_iter().filter(|(_, value)| !value.is_null());
    fields.extend(given.map(|(name, value)| (Node::from(name), value)));
    Node::Mapping(fields)
}

/// A time as protobuf's JSON has it, such as `0.500s`.
pub(super) fn time(time: Duration) -> Node {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    Node::String(match millis {
        0 => format!("{seconds}s"),
        _ => format!("{seconds}.{millis:03}s"),
    })
}

/// The address of a listener.
pub(super) fn socket_address(address: SocketAddr) -> Node {
    address_and_port(address.ip().to_string(), address.port())
}

/// The address of an endpoint.
pub(super) fn endpoint_address(address: &Address, port: u16) -> Node {
    address_and_port(address.to_string(), port)
}

fn address_and_port(address: String, port: u16) -> Node {
    yaml!({ "socket_address": { "address": (address), "port_value": (port) } })
}

/// Metadata the filter reads: `filter_metadata.dtr.NAME`.
pub(super) fn metadata(name: &str, value: &str) -> Node {
    yaml!({ "filter_metadata": { (METADATA): { (name): (value) } } })
}

/// Where Envoy finds resources in a file that it watches.
pub(super) fn path_config_source(folder: &Path, file: &str) -> Node {
    let path = folder.join(file).to_string_lossy().into_owned();
    yaml!({ "path_config_source": { "path": (path) } })
}

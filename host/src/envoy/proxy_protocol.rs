//! The PROXY protocol, as Envoy accepts and sends it.

use dtr_lb_filter::contract::PEER_STATE;

use super::yaml::{Node, yaml};
use crate::plan::ProxyProtocol;

/// Reads a header where there is one. Which clients are to send one, or must not, a listener
/// filter can't tell: the balancer does, by [`peer`].
pub(super) fn header() -> Node {
    yaml!({
        "name": "envoy.filters.listener.proxy_protocol",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
            "allow_requests_without_proxy_protocol": true,
        },
    })
}

/// Has the balancer know who has connected, besides the client that a header names.
pub(super) fn peer() -> Node {
    yaml!({
        "name": "envoy.filters.network.set_filter_state",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config",
            "on_new_connection": [{
                "object_key": (PEER_STATE),
                "factory_key": "envoy.string",
                "format_string": {
                    "text_format_source": { "inline_string": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%" },
                },
            }],
        },
    })
}

/// The transport socket of a cluster whose endpoints are sent a PROXY header; `inner` is
/// what follows the header.
pub(super) fn transport_socket(version: ProxyProtocol, inner: Option<Node>) -> Node {
    let version = match version {
        ProxyProtocol::V1 => "V1",
        ProxyProtocol::V2 => "V2",
    };
    yaml!({
        "name": "envoy.transport_sockets.upstream_proxy_protocol",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
            "config": { "version": (version) },
            "transport_socket": (inner.unwrap_or_else(raw_buffer)),
        },
    })
}

fn raw_buffer() -> Node {
    yaml!({
        "name": "envoy.transport_sockets.raw_buffer",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
        },
    })
}

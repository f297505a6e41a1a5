//! Names the raw arguments and results of callbacks.

use crate::transcript::Argument;

/// The arguments of a callback. The first is a context, given apart.
pub(crate) fn arguments(name: &str, arguments: &[u32]) -> Vec<Argument> {
    let names: &[&str] = match name {
        "proxy_on_context_create" => &["parent"],
        "proxy_on_vm_start" | "proxy_on_configure" | "proxy_validate_configuration" => &["size"],
        "proxy_on_downstream_data"
        | "proxy_on_upstream_data"
        | "proxy_on_request_body"
        | "proxy_on_response_body" => &["size", "end"],
        "proxy_on_request_headers" | "proxy_on_response_headers" => &["count", "end"],
        "proxy_on_request_trailers" | "proxy_on_response_trailers" => &["count"],
        "proxy_on_downstream_connection_close" | "proxy_on_upstream_connection_close" => &["peer"],
        "proxy_on_http_call_response" => &["token", "headers", "body", "trailers"],
        "proxy_on_grpc_receive_initial_metadata" | "proxy_on_grpc_receive_trailing_metadata" => {
            &["token", "count"]
        }
        "proxy_on_grpc_receive" => &["token", "size"],
        "proxy_on_grpc_close" => &["token", "status"],
        "proxy_on_queue_ready" => &["queue"],
        "proxy_on_foreign_function" => &["function", "size"],
        _ => &[],
    };
    let values = arguments.get(1..).unwrap_or_default();
    (values.iter().enumerate())
        .map(|(index, &value)| {
            let name = names.get(index).copied().unwrap_or("");
            let text = match name {
                "peer" => PEERS.get(value as usize).map(|peer| (*peer).to_owned()),
                "end" => Some(if value == 0 { "more" } else { "last" }.to_owned()),
                _ => None,
            };
            Argument::new(name, text.unwrap_or_else(|| value.to_string()))
        })
        .collect()
}

/// What a callback returned.
pub(crate) fn result(name: &str, value: u32) -> String {
    let text = match name {
        "proxy_on_vm_start"
        | "proxy_on_configure"
        | "proxy_on_done"
        | "proxy_validate_configuration" => {
            if value == 0 {
                "false"
            } else {
                "true"
            }
        }
        _ if value == 0 => "continue",
        _ if value == 1 => "pause",
        _ => return value.to_string(),
    };
    text.to_owned()
}

/// By their number.
const PEERS: &[&str] = &["unknown", "local", "remote"];

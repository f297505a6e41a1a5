//! Puts the raw arguments of host functions and callbacks into words.

use proxy_wasm_engine::Hostcall;

use crate::transcript::Argument;

/// The arguments of a host function as the guest gave them.
pub(crate) fn arguments(call: &Hostcall<'_>) -> Vec<Argument> {
    read(call, Side::Input)
}

/// What the host function wrote for the guest; meaningful after success only.
pub(crate) fn results(call: &Hostcall<'_>) -> Vec<Argument> {
    read(call, Side::Output)
}

/// The arguments of a callback. The first is a context, given apart.
pub(crate) fn callback_arguments(name: &str, arguments: &[u32]) -> Vec<Argument> {
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
pub(crate) fn callback_result(name: &str, value: u32) -> String {
    let word = match name {
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
    word.to_owned()
}

/// The key that this call of `set_envoy_filter_state` sets: field 1 of a
/// protobuf message, first in what every encoder writes.
pub(crate) fn filter_state_key(call: &Hostcall<'_>) -> Option<String> {
    let [name, name_len, message, message_len, ..] = *call.arguments else {
        return None;
    };
    if call.name != "proxy_call_foreign_function"
        || slice(call.memory, name, name_len)? != b"set_envoy_filter_state"
    {
        return None;
    }
    let message = slice(call.memory, message, message_len)?;
    let [0x0a, length, rest @ ..] = message else {
        return None;
    };
    // A length of one byte: no key is longer than 127.
    let key = rest.get(..usize::from(*length))?;
    String::from_utf8(key.to_vec()).ok()
}

/// One parameter of a host function, as it stands in the guest's call. Those
/// with a length take two of the raw arguments.
#[derive(Clone, Copy)]
enum Parameter {
    Number(&'static str),
    Signed(&'static str),
    Long(&'static str),
    Named(&'static str, &'static [&'static str]),
    Text(&'static str),
    Path,
    Bytes(&'static str),
    Pairs(&'static str),
    OutNumber(&'static str),
    OutLong(&'static str),
    OutBytes,
    OutPairs,
}

use Parameter::{
    Bytes, Long, Named, Number, OutBytes, OutLong, OutNumber, OutPairs, Pairs, Path, Signed, Text,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "critical"];
const BUFFERS: &[&str] = &[
    "request body",
    "response body",
    "downstream data",
    "upstream data",
    "http call body",
    "grpc message",
    "vm configuration",
    "plugin configuration",
    "foreign function arguments",
];
const MAPS: &[&str] = &[
    "request headers",
    "request trailers",
    "response headers",
    "response trailers",
    "grpc initial metadata",
    "grpc trailing metadata",
    "http call headers",
    "http call trailers",
];
const STREAMS: &[&str] = &["request", "response", "downstream", "upstream"];
const METRICS: &[&str] = &["counter", "gauge", "histogram"];
const PEERS: &[&str] = &["unknown", "local", "remote"];

fn parameters(name: &str) -> Option<&'static [Parameter]> {
    Some(match name {
        "proxy_log" => &[Named("level", LEVELS), Text("message")],
        "proxy_get_log_level" => &[OutNumber("level")],
        "proxy_get_current_time_nanoseconds" => &[OutLong("nanoseconds")],
        "proxy_set_tick_period_milliseconds" => &[Number("milliseconds")],
        "proxy_get_buffer_bytes" => &[
            Named("buffer", BUFFERS),
            Number("start"),
            Number("most"),
            OutBytes,
        ],
        "proxy_get_buffer_status" => &[
            Named("buffer", BUFFERS),
            OutNumber("length"),
            OutNumber("flags"),
        ],
        "proxy_set_buffer_bytes" => &[
            Named("buffer", BUFFERS),
            Number("start"),
            Number("size"),
            Bytes("bytes"),
        ],
        "proxy_get_header_map_size" => &[Named("map", MAPS), OutNumber("size")],
        "proxy_get_header_map_pairs" => &[Named("map", MAPS), OutPairs],
        "proxy_set_header_map_pairs" => &[Named("map", MAPS), Pairs("pairs")],
        "proxy_get_header_map_value" => &[Named("map", MAPS), Text("key"), OutBytes],
        "proxy_add_header_map_value" | "proxy_replace_header_map_value" => {
            &[Named("map", MAPS), Text("key"), Text("value")]
        }
        "proxy_remove_header_map_value" => &[Named("map", MAPS), Text("key")],
        "proxy_continue_stream" | "proxy_close_stream" => &[Named("stream", STREAMS)],
        "proxy_get_status" => &[OutNumber("code"), OutBytes],
        "proxy_send_local_response" => &[
            Number("status"),
            Text("details"),
            Bytes("body"),
            Pairs("headers"),
            Signed("grpc status"),
        ],
        "proxy_http_call" => &[
            Text("cluster"),
            Pairs("headers"),
            Bytes("body"),
            Pairs("trailers"),
            Number("timeout ms"),
            OutNumber("token"),
        ],
        "proxy_grpc_call" => &[
            Text("cluster"),
            Text("service"),
            Text("method"),
            Pairs("metadata"),
            Bytes("message"),
            Number("timeout ms"),
            OutNumber("token"),
        ],
        "proxy_grpc_stream" => &[
            Text("cluster"),
            Text("service"),
            Text("method"),
            Pairs("metadata"),
            OutNumber("token"),
        ],
        "proxy_grpc_send" => &[Number("token"), Bytes("message"), Number("end")],
        "proxy_grpc_cancel" | "proxy_grpc_close" => &[Number("token")],
        "proxy_set_shared_data" => &[Text("key"), Bytes("value"), Number("cas")],
        "proxy_get_shared_data" => &[Text("key"), OutBytes, OutNumber("cas")],
        "proxy_register_shared_queue" => &[Text("name"), OutNumber("queue")],
        "proxy_resolve_shared_queue" => &[Text("vm"), Text("name"), OutNumber("queue")],
        "proxy_enqueue_shared_queue" => &[Number("queue"), Bytes("item")],
        "proxy_dequeue_shared_queue" => &[Number("queue"), OutBytes],
        "proxy_define_metric" => &[Named("kind", METRICS), Text("name"), OutNumber("metric")],
        "proxy_record_metric" | "proxy_increment_metric" => &[Number("metric"), Long("value")],
        "proxy_get_metric" => &[Number("metric"), OutLong("value")],
        "proxy_get_property" => &[Path, OutBytes],
        "proxy_set_property" => &[Path, Bytes("value")],
        "proxy_set_effective_context" => &[Number("context")],
        "proxy_done"
        | "proxy_continue_request"
        | "proxy_continue_response"
        | "proxy_clear_route_cache" => &[],
        "proxy_get_configuration" => &[OutBytes],
        "proxy_call_foreign_function" => &[Text("function"), Bytes("arguments"), OutBytes],
        _ => return None,
    })
}

fn read(call: &Hostcall<'_>, side: Side) -> Vec<Argument> {
    if call.name == "fd_write" {
        return match side {
            Side::Input => written(call),
            Side::Output => Vec::new(),
        };
    }
    let Some(parameters) = parameters(call.name) else {
        return match side {
            Side::Input => (call.arguments.iter())
                .map(|value| Argument::new("", value.to_string()))
                .collect(),
            Side::Output => Vec::new(),
        };
    };
    let mut raw = call.arguments.iter().copied();
    let mut next = || raw.next().unwrap_or_default();
    let mut words = Vec::new();
    for parameter in parameters {
        let (word, which) = match *parameter {
            Number(name) => (Argument::new(name, next().to_string()), Side::Input),
            Signed(name) => {
                let word = u32::try_from(next()).unwrap_or_default();
                (
                    Argument::new(name, word.cast_signed().to_string()),
                    Side::Input,
                )
            }
            Long(name) => (
                Argument::new(name, next().cast_signed().to_string()),
                Side::Input,
            ),
            Named(name, names) => {
                let value = next();
                let text = usize::try_from(value)
                    .ok()
                    .and_then(|index| names.get(index));
                let text = text.map_or_else(|| format!("unknown ({value})"), |t| (*t).to_owned());
                (Argument::new(name, text), Side::Input)
            }
            Text(name) | Bytes(name) => {
                let (at, length) = (next(), next());
                (
                    Argument::bytes(name, slice(call.memory, at, length)),
                    Side::Input,
                )
            }
            Path => {
                let (at, length) = (next(), next());
                let path = slice(call.memory, at, length).map(|path| {
                    let path = path.strip_suffix(&[0]).unwrap_or(path);
                    String::from_utf8_lossy(path).replace('\0', ".")
                });
                let bytes = path.as_ref().map(String::as_bytes);
                (Argument::bytes("path", bytes), Side::Input)
            }
            Pairs(name) => {
                let (at, length) = (next(), next());
                (
                    Argument::pairs(name, slice(call.memory, at, length)),
                    Side::Input,
                )
            }
            OutNumber(name) => {
                let value = number(call.memory, next(), 4);
                (Argument::new(name, value.to_string()), Side::Output)
            }
            OutLong(name) => {
                let value = number(call.memory, next(), 8);
                (Argument::new(name, value.to_string()), Side::Output)
            }
            OutBytes | OutPairs => {
                let (at, length) = (next(), next());
                // No pointers: the guest does not want the answer.
                if at == 0 || length == 0 {
                    continue;
                }
                let (at, length) = (number(call.memory, at, 4), number(call.memory, length, 4));
                let bytes = slice(call.memory, at, length);
                let word = match parameter {
                    OutPairs => Argument::pairs("", bytes),
                    _ => Argument::bytes("", bytes),
                };
                (word, Side::Output)
            }
        };
        if which == side {
            words.push(word);
        }
    }
    words
}

/// What `fd_write` of WASI writes: its vectors, joined.
fn written(call: &Hostcall<'_>) -> Vec<Argument> {
    let argument = |index: usize| call.arguments.get(index).copied().unwrap_or_default();
    let level = if argument(0) == 2 { "error" } else { "info" };
    let mut bytes = Vec::new();
    for index in 0..argument(2).min(1024) {
        let at = argument(1).saturating_add(index.saturating_mul(8));
        let (start, length) = (
            number(call.memory, at, 4),
            number(call.memory, at.saturating_add(4), 4),
        );
        bytes.extend_from_slice(slice(call.memory, start, length).unwrap_or_default());
    }
    vec![
        Argument::new("level", level.to_owned()),
        Argument::bytes("message", Some(&bytes)),
    ]
}

fn slice(memory: &[u8], at: u64, length: u64) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    let end = at.checked_add(usize::try_from(length).ok()?)?;
    memory.get(at..end)
}

fn number(memory: &[u8], at: u64, width: u64) -> u64 {
    let mut word = [0; 8];
    if let Some(bytes) = slice(memory, at, width) {
        word[..bytes.len()].copy_from_slice(bytes);
    }
    u64::from_le_bytes(word)
}

//! What each host function takes and gives.

/// One parameter of a host function, as it stands in the guest's call. Those
/// with a length take two of the raw arguments.
#[derive(Clone, Copy)]
pub(crate) enum Parameter {
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

/// Who gives a parameter its value: the guest (input) or the host function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

impl Parameter {
    pub(crate) fn side(self) -> Side {
        match self {
            OutNumber(_) | OutLong(_) | OutBytes | OutPairs => Side::Output,
            Number(_) | Signed(_) | Long(_) | Named(..) | Text(_) | Path | Bytes(_) | Pairs(_) => {
                Side::Input
            }
        }
    }
}

use Parameter::{
    Bytes, Long, Named, Number, OutBytes, OutLong, OutNumber, OutPairs, Pairs, Path, Signed, Text,
};

/// The parameters of this host function; `None`: it is not known.
pub(crate) fn parameters(name: &str) -> Option<&'static [Parameter]> {
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

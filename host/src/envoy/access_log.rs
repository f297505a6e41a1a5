//! The access log: a line for each connection, as the host writes it.

use dtr_lb_filter::contract::{METADATA, METADATA_REPLICA, REFUSAL_STATE};

use super::yaml::{Node, yaml};

/// Lines on Envoy's standard output.
pub(super) fn access_log() -> Node {
    yaml!({
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": { "text_format_source": { "inline_string": (line()) } },
        },
    })
}

/// The fields have the host's names. A reason is the filter's own, for which it refuses a
/// connection; how others end, and which attempts failed, Envoy says in its own words.
fn line() -> String {
    let fields = [
        "client=%DOWNSTREAM_REMOTE_ADDRESS%".to_owned(),
        "listener=%DOWNSTREAM_LOCAL_ADDRESS%".to_owned(),
        format!("replica=\"%METADATA(UPSTREAM_HOST:{METADATA}:{METADATA_REPLICA})%\""),
        "attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT%".to_owned(),
        "up=%BYTES_RECEIVED%".to_owned(),
        "down=%BYTES_SENT%".to_owned(),
        "ms=%DURATION%".to_owned(),
        format!("reason=\"%FILTER_STATE({REFUSAL_STATE}:PLAIN)%\""),
        "flags=\"%RESPONSE_FLAGS_LONG%\"".to_owned(),
        "failure=\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\"".to_owned(),
        "closed=\"%DOWNSTREAM_LOCAL_CLOSE_REASON%\"".to_owned(),
    ];
    format!("%EMIT_TIME% access: connection {}\n", fields.join(" "))
}

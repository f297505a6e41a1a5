//! The access log: a line for each connection, as the host writes it.

use dtr_lb_filter::contract::{METADATA, METADATA_REPLICA, REFUSAL_STATE};

use super::yaml::{Node, yaml};
use crate::plan::Plan;

/// Lines on Envoy's standard output.
pub(super) fn access_log(plan: &Plan) -> Node {
    yaml!({
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": { "text_format_source": { "inline_string": (line(plan)) } },
        },
    })
}

/// The fields have the host's names. A reason is the filter's own, for which it refuses or
/// closes a connection; how others end, and which attempts failed, Envoy says in its own words.
fn line(plan: &Plan) -> String {
    let server_name = plan
        .services
        .as_ref()
        .map(|_| "server_name=\"%REQUESTED_SERVER_NAME%\"");
    // Whom a header has named may be made up; who sent it is not.
    let peer = plan
        .trusted_proxies
        .as_ref()
        .map(|_| "peer=%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%");
    let leading = [
        "client=%DOWNSTREAM_REMOTE_ADDRESS%".to_owned(),
        "listener=%DOWNSTREAM_LOCAL_ADDRESS%".to_owned(),
    ];
    let fields = [
        format!("replica=\"%METADATA(UPSTREAM_HOST:{METADATA}:{METADATA_REPLICA})%\""),
        "address=%UPSTREAM_REMOTE_ADDRESS%".to_owned(),
        "attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT%".to_owned(),
        "up=%BYTES_RECEIVED%".to_owned(),
        "down=%BYTES_SENT%".to_owned(),
        "ms=%DURATION%".to_owned(),
        format!("reason=\"%FILTER_STATE({REFUSAL_STATE}:PLAIN)%\""),
        "flags=\"%RESPONSE_FLAGS_LONG%\"".to_owned(),
        "failure=\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\"".to_owned(),
        "closed=\"%DOWNSTREAM_LOCAL_CLOSE_REASON%\"".to_owned(),
    ];
    let fields: Vec<String> = leading
        .into_iter()
        .chain(peer.map(str::to_owned))
        .chain(server_name.map(str::to_owned))
        .chain(fields)
        .collect();
    format!("%EMIT_TIME% access: connection {}\n", fields.join(" "))
}

//! Why a guest trapped, for its author to act on.

use crate::transcript::{EntryKind, HostcallRecord, Transcript};
use proxy_wasm_engine::Status;

/// Explains why the guest trapped, from the last host functions it called. `None`:
/// nothing there explains it.
pub(crate) fn explain(transcript: &Transcript) -> Option<String> {
    let last: Vec<&HostcallRecord> = (transcript.entries().iter().rev())
        .take_while(|entry| !matches!(entry.kind, EntryKind::Kit(_)))
        .filter_map(|entry| match &entry.kind {
            EntryKind::Hostcall(call) => Some(call),
            _ => None,
        })
        .collect();
    let logs = |call: &&&HostcallRecord| call.name == "proxy_log" || call.name == "fd_write";
    let culprit = last.iter().find(|call| !logs(call)).copied();
    let failed = culprit.filter(|call| call.status.is_some_and(|status| status != Status::OK));
    let message = (last.iter())
        .filter(logs)
        .filter_map(|call| call.argument("message"))
        .find(|message| message.contains("panicked at") || message.contains("abort"));
    let Some(message) = message else {
        let failed = failed?;
        let advice = advice(failed).map(|advice| format!("\n     {advice}"));
        let advice = advice.unwrap_or_default();
        return Some(format!("perhaps for this: {failed}{advice}"));
    };
    let unexpected = message.contains("unexpected status")
        || (message.contains("unwrap()") && message.contains("proxy-wasm"));
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = format!("why: the guest panicked: {message}");
    match (culprit, failed) {
        (_, Some(call)) if unexpected => {
            text.push_str(&format!(
                "\n     {call}\n     The Rust SDK panics on every status it does not expect, and so \
                 the VM dies with all its streams."
            ));
            if let Some(advice) = advice(call) {
                text.push_str("\n     ");
                text.push_str(advice);
            }
        }
        (Some(call), _) => {
            text.push_str(&format!("\n     the last host function before it: {call}"));
        }
        (None, _) => {}
    }
    Some(text)
}

/// What to do about this status of this host function.
fn advice(call: &HostcallRecord) -> Option<&'static str> {
    let status = call.status?;
    if call.fault {
        return Some("The test asked for this status with a fault.");
    }
    let map = call.argument("map").unwrap_or_default();
    let advice = match (call.name.as_str(), status) {
        (name, Status::BAD_ARGUMENT) if name.contains("header_map") => {
            if map.starts_with("http call") {
                "These maps exist only inside on_http_call_response, and only if the call got an \
                 answer."
            } else if map.starts_with("grpc") {
                "These maps exist only inside the gRPC callbacks."
            } else {
                "This map does not exist at this moment: request maps begin with \
                 on_http_request_headers, response maps with on_http_response_headers, trailers \
                 with their own callback; a TCP stream and a root context have none, and in \
                 on_log nothing can be changed. When it runs for an HTTP call, make the stream \
                 the effective context first."
            }
        }
        ("proxy_set_buffer_bytes", Status::BAD_ARGUMENT) => {
            "Envoy lets a guest prepend (start 0, size 0), append (start at the end or later) or \
             replace the whole buffer (start 0, size at least its length), and only the buffer of \
             the callback that runs."
        }
        ("proxy_get_buffer_bytes", Status::BAD_ARGUMENT) => {
            "start plus length overflows, or there is no such buffer."
        }
        ("proxy_continue_stream", Status::UNIMPLEMENTED) => {
            "Envoy cannot resume bytes of the upstream (resume_upstream): on_upstream_data must not \
             pause what has to go on later."
        }
        ("proxy_http_call", Status::BAD_ARGUMENT) => {
            "The cluster is unknown (declare it with .cluster(..), in Envoy as a cluster), or one of \
             :method, :path and :authority is missing, or the timeout is negative."
        }
        ("proxy_http_call", Status::INTERNAL_FAILURE) => "The cluster has no host to ask.",
        ("proxy_grpc_call" | "proxy_grpc_stream", Status::PARSE_FAILURE) => {
            "The cluster is unknown; declare it with .cluster(..)."
        }
        ("proxy_increment_metric", Status::BAD_ARGUMENT) => {
            "Counters only grow: a delta of 0 or less is refused, and histograms have record alone."
        }
        ("proxy_get_metric", Status::BAD_ARGUMENT) => "A histogram has no single value.",
        ("proxy_set_property", Status::NOT_FOUND) => {
            "Properties are set on a stream; a root context has none."
        }
        ("proxy_set_property", Status::BAD_ARGUMENT) => "This property can only be read.",
        ("proxy_set_shared_data", Status::CAS_MISMATCH) => {
            "Somebody else wrote the key in between: read it again and try again. The SDK's \
             set_shared_data returns this as an error, so it is an unwrap that panicked."
        }
        ("proxy_set_effective_context", Status::BAD_ARGUMENT) => {
            "That context does not exist, or no longer: the stream ended while its call was under \
             way."
        }
        ("proxy_dequeue_shared_queue" | "proxy_enqueue_shared_queue", Status::NOT_FOUND) => {
            "No queue has this id: register or resolve it first, in this VM id."
        }
        ("proxy_call_foreign_function", Status::NOT_FOUND) => {
            "There is no such foreign function, or it needs a stream and this is a root context."
        }
        (_, Status::INTERNAL_FAILURE) => {
            "The host refuses this function: it is not among the allowed capabilities."
        }
        (_, Status::INVALID_MEMORY_ACCESS) => "A pointer leads outside the guest's memory.",
        _ => return None,
    };
    Some(advice)
}

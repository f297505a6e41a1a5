//! A reply to an HTTP call, as the filter judges it.

use dtr_lb_filter::contract::REPLICA_ANSWERED;
use dtr_lb_filter::health::probe_response::{BODY_LIMIT, ProbeResponse, ReplySource};
use proxy_wasm_engine::CallReply;

/// The reply as a filter sees it.
pub(crate) fn of(reply: &CallReply) -> ProbeResponse {
    let status = header(reply, ":status").and_then(|status| status.parse().ok());
    ProbeResponse {
        status: status.unwrap_or_default(),
        source: match header(reply, REPLICA_ANSWERED) {
            Some(_) => ReplySource::Replica,
            None => ReplySource::Proxy,
        },
        body: reply.body.iter().take(BODY_LIMIT).copied().collect(),
    }
}

/// The value of a header; its name is in lower case.
pub(crate) fn header(reply: &CallReply, name: &str) -> Option<String> {
    let mut headers = reply.headers.iter();
    let (_, value) = headers.find(|(known, _)| known == name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

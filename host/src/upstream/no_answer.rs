//! Why a replica gave no answer of its own, in words.

use std::time::Duration;

use dtr_lb_filter::config::CheckKind;
use dtr_lb_filter::health::probe_response::ProbeResponse;
use dtr_lb_filter::health::reason::Reason;

use super::reply::MAX_BODY;

/// Why a request of this kind, given this long, has no answer of the replica's own.
pub(crate) fn no_answer(response: &ProbeResponse, kind: &CheckKind, limit: Duration) -> String {
    match response.judge(kind) {
        Err(failure) if failure.reason == Reason::Timeout => {
            format!("no answer within {} s", limit.as_secs())
        }
        // The answer began: a status of 0 stands for one that did not end.
        Err(_) if response.status == 0 => format!(
            "its answer breaks off, or is longer than {} MiB",
            MAX_BODY >> 20
        ),
        Err(failure) => failure.in_one_line(),
        Ok(()) => "no answer".to_owned(),
    }
}

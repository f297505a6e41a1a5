//! A question's answer, judged by nobody yet.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dtr_lb_filter::compare::observation::Observation;
use dtr_lb_filter::config::CheckKind;
use dtr_lb_filter::health::probe_request;
use dtr_lb_filter::health::probe_response::{ProbeResponse, ReplySource};
use proxy_wasm_engine::CallReply;

use crate::upstream::endpoint::Endpoint;
use crate::upstream::http_call::Call;
use crate::upstream::probe_response;

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) response: ProbeResponse,
    /// Of the replica's own answer; else nothing is known.
    pub(super) observation: Observation,
    /// From the first packet to the last byte of the answer.
    pub(super) latency: Duration,
}

impl Answer {
    /// Sends what a check of this kind sends, over the very same client as the running
    /// balancer: whatever happens becomes an answer.
    pub(super) async fn to(kind: &CheckKind, fqdn: &str, at: &Endpoint, limit: Duration) -> Answer {
        let call = Call::of_headers(probe_request::headers(kind, fqdn), limit);
        let (sent, started) = (unix_ms(), Instant::now());
        let reply = call.make(at).await;
        let latency = started.elapsed();
        Answer::of(reply, sent, latency)
    }

    fn of(reply: CallReply, sent: u64, latency: Duration) -> Answer {
        let header = |name: &str| probe_response::header(&reply, name);
        let response = probe_response::of(&reply);
        let mut observation = Observation::default();
        if response.source == ReplySource::Replica {
            let took = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
            observation = Observation::of(header, sent, sent.saturating_add(took));
            let is_redirect = (300..400).contains(&response.status);
            let location = header("location").filter(|_| is_redirect);
            observation.redirect = location.map(|to| dtr_lb_filter::printable::printable(&to));
        }
        Answer {
            response,
            observation,
            latency,
        }
    }

    /// The status of the replica's own answer.
    pub(super) fn status(&self) -> Option<u16> {
        let is_its_own = self.response.source == ReplySource::Replica;
        is_its_own.then_some(self.response.status)
    }
}

/// Our own time, in Unix milliseconds.
pub(super) fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_millis();
    u64::try_from(now).unwrap_or(u64::MAX)
}

//! A question's answer, judged by nobody yet.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dtr_lb_filter::compare::observation::Observation;
use dtr_lb_filter::config::CheckKind;
use dtr_lb_filter::contract::REPLICA_ANSWERED;
use dtr_lb_filter::health::probe_request;
use dtr_lb_filter::health::probe_response::{BODY_LIMIT, ProbeResponse, ReplySource};
use proxy_wasm_engine::CallReply;

use crate::upstream::endpoint::Endpoint;
use crate::upstream::http_call::Call;

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
        let headers = probe_request::headers(kind, fqdn).into_iter();
        let call = Call {
            headers: headers
                .map(|(name, value)| (name, value.into_bytes()))
                .collect(),
            body: Vec::new(),
            timeout: Some(limit),
        };
        let (sent, started) = (unix_ms(), Instant::now());
        let reply = call.make(at).await;
        let latency = started.elapsed();
        Answer::of(reply, sent, latency)
    }

    fn of(reply: CallReply, sent: u64, latency: Duration) -> Answer {
        let header = |name: &str| {
            let mut headers = reply.headers.iter();
            let (_, value) = headers.find(|(known, _)| known == name)?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let status = header(":status").and_then(|status| status.parse().ok());
        let source = match header(REPLICA_ANSWERED) {
            Some(_) => ReplySource::Replica,
            None => ReplySource::Proxy,
        };
        let mut observation = Observation::default();
        if source == ReplySource::Replica {
            let took = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
            observation = Observation::of(header, sent, sent.saturating_add(took));
            let is_redirect = status.is_some_and(|status| (300..400).contains(&status));
            let location = header("location").filter(|_| is_redirect);
            observation.redirect = location.map(|to| dtr_lb_filter::printable::printable(&to));
        }
        let mut body = reply.body;
        body.truncate(BODY_LIMIT);
        Answer {
            response: ProbeResponse {
                status: status.unwrap_or_default(),
                source,
                body,
            },
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

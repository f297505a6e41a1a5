//! The answer to a probe, and whether it is that of a healthy replica.

use super::probe_failure::ProbeFailure;
use super::proxy_reply;
use super::reason::Reason;
use super::reply_body::ReplyBody;
use crate::config::{BodyCheck, CheckKind};

/// The answer to a probe, as the host hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResponse {
    /// Such as 200; 0 when there was no answer at all.
    pub status: u16,
    /// Who answered.
    pub source: ReplySource,
    /// The body's first [`BODY_LIMIT`] bytes.
    pub body: Vec<u8>,
}

/// Who made a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplySource {
    /// The replica itself: the response carries
    /// [`REPLICA_ANSWERED`](crate::contract::REPLICA_ANSWERED).
    Replica,
    /// The proxy, in the replica's stead.
    Proxy,
}

/// This much of a body is read, in bytes. A JSON body longer than this does not
/// parse, and so is judged as one that is not JSON.
pub const BODY_LIMIT: usize = 64 * 1024;

impl ProbeResponse {
    /// No answer at all: the host gave the probe up.
    pub fn none() -> ProbeResponse {
        ProbeResponse {
            status: 0,
            source: ReplySource::Proxy,
            body: Vec::new(),
        }
    }

    /// Whether it says nothing of the replica: the proxy was at a limit of its own and
    /// asked nobody.
    pub(crate) fn is_not_asked(&self) -> bool {
        self.source == ReplySource::Proxy && proxy_reply::is_not_asked(self.status, &self.body)
    }

    /// Judges the response to a check: `Ok` is that of a healthy replica.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn judge(&self, kind: &CheckKind) -> Result<(), ProbeFailure> {
        match (kind, self.source) {
            (CheckKind::Tcp, ReplySource::Replica) => Ok(()),
            (CheckKind::Tcp, ReplySource::Proxy) => {
                proxy_reply::judge_connection(self.status, &self.body)
            }
            (CheckKind::Http { .. }, ReplySource::Proxy) => {
                Err(proxy_reply::failure(self.status, &self.body))
            }
            (CheckKind::Http { statuses, body, .. }, ReplySource::Replica) => {
                self.judge_reply(statuses, body.as_ref())
            }
        }
    }

    /// A status that is accepted, and a body that does not contradict it.
    fn judge_reply(
        &self,
        statuses: &[(u16, u16)],
        check: Option<&BodyCheck>,
    ) -> Result<(), ProbeFailure> {
        let body = ReplyBody::parse(&self.body);
        let is_accepted = statuses
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&self.status));
        if !is_accepted {
            let mut failure = ProbeFailure::new(Reason::Status, &body.error);
            if failure.text.is_empty() {
                failure.text = format!("status {}", self.status);
            }
            return Err(failure);
        }
        match check {
            Some(check) => body.judge_value(check),
            None => body.judge_usual_keys(),
        }
    }
}

#[cfg(test)]
mod tests;

//! One request to one replica.

use std::time::Duration;

use dtr_lb_filter::config::CheckKind;
use dtr_lb_filter::health::probe_request;
use dtr_lb_filter::health::probe_response::ReplySource;
use dtr_lb_filter::printable::printable;
use serde::Deserialize;

use crate::upstream::endpoint::Endpoint;
use crate::upstream::http_call::Call;
use crate::upstream::no_answer::no_answer;
use crate::upstream::probe_response;

/// A replica, under the registry's name.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) to: &'a Endpoint,
    pub(crate) fqdn: &'a str,
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    /// With the query.
    pub(super) path: &'a str,
    pub(super) authorization: Option<&'a str>,
}

/// A replica's own answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    /// The header `WWW-Authenticate`.
    pub(super) challenge: Option<String>,
    pub(super) body: Vec<u8>,
}

/// What registries answer when they refuse.
#[derive(Deserialize)]
struct Refusal {
    errors: Vec<RegistryError>,
}

#[derive(Deserialize)]
struct RegistryError {
    code: String,
}

impl Client<'_> {
    /// Sends it as a probe is sent.
    ///
    /// # Errors
    /// Why there is no answer of the replica's own.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Answer, String> {
        let scheme = if self.to.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let authorization = request.authorization;
        let kind = CheckKind::Http {
            scheme: scheme.to_owned(),
            path: request.path.to_owned(),
            statuses: Vec::new(),
            headers: authorization
                .map(|value| ("authorization".to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
            body: None,
        };
        let mut headers = probe_request::headers(&kind, self.fqdn);
        for (name, value) in &mut headers {
            if name == ":method" {
                request.method.clone_into(value);
            }
        }
        let call = Call::of_headers(headers, LIMIT);
        let reply = call.make(self.to).await;
        let response = probe_response::of(&reply);
        match response.source {
            ReplySource::Proxy => Err(no_answer(&response, &kind, LIMIT)),
            ReplySource::Replica => Ok(Answer {
                status: response.status,
                location: probe_response::header(&reply, "location"),
                challenge: probe_response::header(&reply, "www-authenticate"),
                body: reply.body,
            }),
        }
    }
}

impl Answer {
    /// The first code of a registry's error, such as `BLOB_UPLOAD_UNKNOWN`.
    pub(super) fn code(&self) -> Option<String> {
        let refusal: Refusal = serde_json::from_slice(&self.body).ok()?;
        let first = refusal.errors.into_iter().next()?;
        Some(printable(&first.code))
    }

    /// Status and code, to be shown.
    pub(super) fn in_short(&self) -> String {
        match self.code() {
            Some(code) => format!("{} ({code})", self.status),
            None => self.status.to_string(),
        }
    }
}

/// Storage in a cloud takes longer than a probe may.
const LIMIT: Duration = Duration::from_secs(10);

//! Asks one replica how it sees all.

use std::time::Duration;

use dtr_lb_filter::config::CheckKind;
use dtr_lb_filter::health::probe_request;
use dtr_lb_filter::health::probe_response::ReplySource;

use super::credentials::Credentials;
use super::view::View;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::http_call::Call;
use crate::upstream::no_answer::no_answer;
use crate::upstream::probe_response;

/// What the replica says, within [`LIMIT`].
///
/// # Errors
/// Why it says nothing that can be used; never with the credentials.
pub(crate) async fn ask(
    to: &Endpoint,
    fqdn: &str,
    credentials: &Credentials,
) -> Result<View, String> {
    let scheme = if to.tls.is_some() { "https" } else { "http" };
    let get = CheckKind::Http {
        scheme: scheme.to_owned(),
        path: PATH.to_owned(),
        statuses: vec![(200, 200)],
        headers: vec![(
            "authorization".to_owned(),
            credentials.authorization().to_owned(),
        )],
        body: None,
    };
    let call = Call::of_headers(probe_request::headers(&get, fqdn), LIMIT);
    let reply = call.make(to).await;
    let response = probe_response::of(&reply);
    match (response.source, response.status) {
        (ReplySource::Replica, 200) => View::read(&reply.body),
        (ReplySource::Replica, status @ (401 | 403)) => Err(format!(
            "it answers {status}: the user or the password is wrong, or is no administrator's"
        )),
        (ReplySource::Replica, 404) => Err(format!("it answers 404: only DTR and MSR have {PATH}")),
        (ReplySource::Replica, status @ 300..=399) => Err(format!(
            "it answers {status}, a redirect, which the password is not sent after"
        )),
        (ReplySource::Replica, status) => Err(format!("it answers {status}")),
        (ReplySource::Proxy, _) => Err(no_answer(&response, &get, LIMIT)),
    }
}

const PATH: &str = "/api/v0/meta/cluster_status";

/// It takes longer than a probe: a replica asks its database.
const LIMIT: Duration = Duration::from_secs(10);

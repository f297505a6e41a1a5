//! `/sessions`: which connections are open, and the end of those of a replica.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dtr_lb_filter::printable::printable;
use http::{Method, Request, StatusCode};
use tokio::time::timeout;
use tracing::info;

use crate::control::all_sessions::AllSessions;
use crate::control::session_list::KilledSessions;
use crate::proxy::admin::reply::{Reply, error, json};
use crate::proxy::shared_state::SharedState;

/// What is asked of the open sessions.
pub(super) enum SessionsRequest {
    List(Option<Arc<str>>),
    Kill(Arc<str>),
}

impl SessionsRequest {
    /// Of a request that may be made.
    ///
    /// # Errors
    /// The reply to what can't be asked.
    pub(super) fn parse<B>(request: &Request<B>) -> Result<SessionsRequest, Box<Reply>> {
        let refused = |problem| Box::new(error(StatusCode::BAD_REQUEST, problem));
        let replica = replica(request.uri().query()).map_err(refused)?;
        match (request.method(), replica) {
            (&Method::DELETE, Some(replica)) => Ok(SessionsRequest::Kill(replica)),
            (&Method::DELETE, None) => {
                Err(refused("say whose sessions: DELETE /sessions?replica=NAME"))
            }
            (_, replica) => Ok(SessionsRequest::List(replica)),
        }
    }

    /// Has every worker answer.
    pub(super) async fn answer(self, shared: Arc<SharedState>, client: SocketAddr) -> Reply {
        let limit = shared.options.admin_timeout;
        let all = Arc::clone(&shared.all_sessions);
        match self {
            SessionsRequest::List(replica) => {
                let unknown = replica.as_ref().and_then(|one| unknown(&shared, one));
                // What is held of a generation keeps it from ending.
                drop(shared);
                within(limit, list(&all, replica, unknown)).await
            }
            SessionsRequest::Kill(replica) => {
                let unknown = unknown(&shared, &replica);
                drop(shared);
                within(limit, kill(&all, replica, unknown, client)).await
            }
        }
    }
}

/// Those of a replica, or all. `unknown`: the reply if it has none.
async fn list(all: &AllSessions, replica: Option<Arc<str>>, unknown: Option<Reply>) -> Reply {
    let list = all.list(replica, OTHER_PROCESS).await;
    match unknown {
        Some(unknown) if list.total == 0 => unknown,
        _ => json(&list),
    }
}

/// Ends those of a replica. `unknown`: the reply if it has none.
async fn kill(
    all: &AllSessions,
    replica: Arc<str>,
    unknown: Option<Reply>,
    client: SocketAddr,
) -> Reply {
    let killed = all.kill(Arc::clone(&replica), OTHER_PROCESS).await;
    if let Some(unknown) = unknown.filter(|_| killed == 0) {
        return unknown;
    }
    info!(
        target: "balancer",
        replica = &*replica,
        %client,
        "replica \"{replica}\": open connections ({killed}) are ended, by order of the operator"
    );
    json(&KilledSessions {
        replica: replica.to_string(),
        killed,
    })
}

/// The reply to who names a replica that the plan does not have. A reload may have taken
/// it out, while its sessions go on.
fn unknown(shared: &SharedState, replica: &str) -> Option<Reply> {
    if shared.replicas.contains(replica) {
        return None;
    }
    let mut known: Vec<&str> = shared.replicas.iter().map(String::as_str).collect();
    known.sort_unstable();
    let known = match known.is_empty() {
        true => "none".to_owned(),
        false => known.join(", "),
    };
    let text = format!(
        "there is no replica \"{}\"; known: {known}",
        printable(replica)
    );
    Some(error(StatusCode::NOT_FOUND, &text))
}

async fn within(limit: Duration, answering: impl Future<Output = Reply>) -> Reply {
    let answered = timeout(limit, answering).await;
    answered.unwrap_or_else(|_| {
        error(
            StatusCode::GATEWAY_TIMEOUT,
            "a worker gave no answer in time",
        )
    })
}

/// Whose sessions a query is about; `None`: everybody's.
fn replica(query: Option<&str>) -> Result<Option<Arc<str>>, &'static str> {
    let fields = query.into_iter().flat_map(|query| query.split('&'));
    let mut replica = None;
    for field in fields.filter(|field| !field.is_empty()) {
        match field.split_once('=') {
            Some(("replica", name)) if replica.is_none() => replica = Some(name.into()),
            _ => return Err("the query may have one field, replica=NAME"),
        }
    }
    Ok(replica)
}

/// How long a process may take whose place this one has taken; shorter than the admin
/// listener's own limit, so that what is here is shown in any case.
const OTHER_PROCESS: Duration = Duration::from_secs(2);
